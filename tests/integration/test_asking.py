import json

import pytest
from support.cross_encoders import make_model
from support.indexes import build
from support.structures import HashEncoder

from rag_qa import Engine
from rag_qa.filters import Filters
from rag_qa.retrieval.query import VARIANT_FACTOR, read_query
from rag_qa.retrieval.retriever import DEEPER
from rag_qa.settings import Settings

STATEMENT = "The Northgate harbour fee was raised to 12 crowns in May 2021, and no pilot objected to it at the time."
COPIES = 2_000


@pytest.fixture
def papers(tmp_path, with_encoder):
    """Makes an index of texts by name, with the real encoder."""

    def make(texts, encoder=None, settings=None):
        folder = tmp_path / "papers"
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
        index = with_encoder("papers-index")
        build([folder], index, settings, encoder=encoder)
        return index

    return make


def documents(passage):
    return [passage.citation.document, *(place.document for place in passage.also_in)]


def test_the_same_statement_is_shown_once_with_all_its_sources(papers):
    wrapped = STATEMENT.replace(" in May", "\nin May").replace("Northgate", "**Northgate**")
    index = papers({"a.txt": STATEMENT, "b.txt": wrapped, "c.txt": f"{STATEMENT}\n", "d.txt": "Ferries sail at noon."})
    with Engine.open(index) as engine:
        found = engine.ask("What is the Northgate harbour fee?")
        assert [sorted(documents(passage)) for passage in found.passages] == [["a.txt", "b.txt", "c.txt"], ["d.txt"]]
        for place in found.passages[0].also_in:
            text = engine.collection.document(place.id).text
            assert (
                text[place.start : place.end]
                == {"a.txt": STATEMENT, "b.txt": wrapped, "c.txt": STATEMENT}[place.document]
            )
        each = engine.with_settings(collapse_duplicates=False).ask("What is the Northgate harbour fee?")
        assert sorted(documents(passage) for passage in each.passages) == [["a.txt"], ["b.txt"], ["c.txt"], ["d.txt"]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12", "13"),
        ("May", "June"),
        ("2021", "2012"),
        ("Northgate", "Southgate"),
        ("no pilot", "a pilot"),
        ("was", "was not"),
    ],
)
def test_what_differs_in_a_number_a_name_a_date_or_a_negation_is_shown_twice(papers, one, other):
    index = papers({"a.txt": STATEMENT, "b.txt": STATEMENT.replace(one, other)})
    with Engine.open(index) as engine:
        found = engine.ask("What is the harbour fee?")
    assert sorted(documents(passage) for passage in found.passages) == [["a.txt"], ["b.txt"]]


def test_thousands_of_copies_leave_room_for_others(papers, encoder):
    feed = "".join(json.dumps({"text": STATEMENT}) + "\n" for _ in range(COPIES))
    others = {
        f"{name}.txt": f"The harbour fee in {name} is not known to any pilot." for name in ("Kiel", "Ystad", "Riga")
    }
    index = papers({"feed.jsonl": feed, **others}, HashEncoder.make())
    with Engine.open(index) as engine:
        found = engine.ask("Northgate harbour fee in crowns", k=4)
        assert sorted(len(passage.also_in) for passage in found.passages) == [0, 0, 0, COPIES - 1]
        assert len(engine.ask("Northgate harbour fee in crowns", k=10).passages) == 4
    assert 100 * DEEPER**2 < COPIES  # several steps deeper were needed


def test_an_acronym_is_also_searched_in_full(rag_qa_main, seeds_index):
    code, out, _ = rag_qa_main("ask", "what did HMICFRS recommend?", "--index", seeds_index, "--json")
    answer = json.loads(out)
    assert code == 0
    (expansion,) = answer["expansions"]
    assert expansion["term"] == "HMICFRS"
    assert expansion["expanded"] == "Her Majesty's Inspectorate of Constabulary and Fire & Rescue Services"
    with Engine.open(seeds_index) as engine:
        info = next(info for info, _ in engine.collection.documents() if info.path == expansion["document"])
        text = engine.collection.document(info.id).text
    assert text[expansion["start"] : expansion["end"]] == expansion["expanded"]
    found = [passage["text"] for passage in answer["passages"]]
    assert any("HMICFRS" not in text and "Inspectorate of Constabulary" in text for text in found)  # Kalayaan's
    assert found[0].startswith("Today @SBSisters")
    _, out, _ = rag_qa_main("ask", "what did HMICFRS recommend?", "--index", seeds_index)
    assert "also searched: HMICFRS as “Her Majesty's Inspectorate of" in out


def test_a_long_form_is_also_searched_as_its_acronym(engine):
    asked = "What did Her Majesty's Inspectorate of Constabulary and Fire & Rescue Services recommend?"
    (expansion,) = engine.ask(asked).expansions
    assert expansion.expanded == "HMICFRS"
    assert engine.with_settings(expand_acronyms=False).ask(asked).expansions == []
    assert engine.ask("what did hmicfrs recommend?").expansions[0].term == "hmicfrs"


def test_terms_of_another_variant_weigh_what_those_of_the_question_do(engine):
    query = read_query("What did LAWRS recommend?", engine.searcher)
    asked, other = query.variants
    assert sum(asked.shares.values()) == pytest.approx(1)
    assert sum(other.shares.values()) == pytest.approx(1)
    assert other.shares["recommend"] == pytest.approx(asked.shares["recommend"])
    assert {"latin", "american", "women"} <= other.shares.keys()
    assert query.expansions[0].term == "LAWRS"
    assert (asked.factor, other.factor) == (1.0, VARIANT_FACTOR)


@pytest.mark.parametrize("question", ["What is the WHO?", "What did the WHO say about harbours?"])
def test_an_acronym_that_is_a_stop_word(papers, question):
    """Its long form adds words and replaces none."""
    who = "The World Health Organization (WHO) says that harbours are healthy."
    index = papers({"a.txt": who, "b.txt": "Ferries sail at noon."})
    with Engine.open(index) as engine:
        asked, other = read_query(question, engine.searcher).variants
        assert "world" not in asked.shares
        assert other.shares["world"] > 0.1
        assert sum(other.shares.values()) == pytest.approx(1)
        assert other.factor == VARIANT_FACTOR
        assert engine.ask(question).passages[0].citation.document == "a.txt"


def test_many_segments_with_gaps_and_a_filter_answer_as_one(papers, tmp_path, with_encoder):
    def texts(numbers):
        return {
            f"{n:02}.txt": f"The Red Ferry Line ({'RFL'}) pays {n} crowns. The {'RFL'} sails at noon." for n in numbers
        }

    small = Settings(segment_passages=3, passage_tokens=24)
    index = papers(texts(range(12)) | {"copy.txt": texts([3])["03.txt"]}, HashEncoder.make(), small)
    for number in (1, 4, 9):
        (tmp_path / "papers" / f"{number:02}.txt").unlink()
    build([tmp_path / "papers"], index, small, encoder=HashEncoder.make())
    whole = with_encoder("whole")
    build([tmp_path / "papers"], whole, Settings(passage_tokens=24), encoder=HashEncoder.make())
    some = Filters(document=("0*.txt", "copy.txt"))
    with Engine.open(index, small) as many, Engine.open(whole, Settings(passage_tokens=24)) as one:
        assert len(many.index.snapshot.manifest.segments) > 2
        assert many.collection.acronyms == one.collection.acronyms
        for filters in (None, some):
            for weight in (0.0, 0.55, 1.0):
                found, expected = (
                    engine.with_settings(dense_weight=weight).ask("What does the RFL pay?", k=9, filters=filters)
                    for engine in (many, one)
                )
                assert [documents(p) for p in found.passages] == [documents(p) for p in expected.passages]
                assert [p.score for p in found.passages] == pytest.approx(
                    [p.score for p in expected.passages], abs=1e-5
                )
                assert found.expansions == expected.expansions
        assert ["03.txt", "copy.txt"] in [
            sorted(documents(p)) for p in many.ask("What does the RFL pay?", k=9).passages
        ]


def test_a_collection_of_nothing_but_acronyms(papers):
    words = ["".join(chr(65 + (i * j) % 26) for j in (1, 3, 7, 11, 5)) for i in range(1, 3000)]
    index = papers({"a.txt": " ".join(words), "b.txt": "\n".join(f"{word} ({word[::-1]})." for word in words)})
    with Engine.open(index) as engine:
        found = engine.ask(f"What is {words[5]}?")
    assert (found.expansions, len(found.passages)) == ([], 5)


def test_a_collection_in_french(papers):
    index = papers(
        {
            "a.txt": "La capitainerie de Rouen ouvre à huit heures. Les navires paient une redevance de dix écus.",
            "b.txt": "L’Organisation mondiale de la santé (OMS) recommande le vaccin. L’OMS siège à Genève.",
            "c.txt": "Le pont est fermé en décembre pour travaux.",
        }
    )
    with Engine.open(index) as engine:
        first = engine.ask("Combien paient les navires ?").passages[0]
        assert first.citation.document == "a.txt"
        assert [mark.text for mark in first.highlights] == ["Les navires paient une redevance de dix écus."]
        assert engine.ask("Où siège l’OMS ?").passages[0].citation.document == "b.txt"


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("reranker"))


def test_reranking(seeds_index, cross_encoder):
    settings = Settings(reranker=str(cross_encoder), rerank_depth=6, rerank_seconds=60)
    with Engine.open(seeds_index, settings) as engine:
        found = engine.ask("what did HMICFRS recommend?", k=8)
        assert [passage.score for passage in found.passages] == sorted((p.score for p in found.passages), reverse=True)
        assert sum(passage.scores.reranked is not None for passage in found.passages) == 6
        plain = engine.with_settings(reranker="").ask("what did HMICFRS recommend?", k=8)
        assert plain.confidence == found.confidence  # which is that of the ranking before
        assert {p.text for p in plain.passages[:6]} == {p.text for p in found.passages if p.scores.reranked is not None}
        assert [p.scores.reranked for p in plain.passages] == [None] * 8


def test_a_folder_without_a_reranker(rag_qa_main, seeds_index, tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_QA_RERANKER", str(tmp_path))
    code, _, err = rag_qa_main("ask", "what did HMICFRS recommend?", "--index", seeds_index)
    assert code == 2
    assert f"The folder “{tmp_path}” holds no cross-encoder (no config.json): give a cross-encoder" in err
    assert err.count("\n") == 1


def test_the_same_question_again_is_not_encoded_again(seeds_index, engine, monkeypatch):
    encoded = []

    class Counting:
        is_word = engine.searcher.encoder.is_word

        def encode_queries(self, texts):
            encoded.extend(texts)
            return engine.searcher.encoder.encode_queries(texts)

    with Engine.open(seeds_index, encoder=Counting()) as counted:
        first, again = (counted.ask("Who brought the super-complaint?").passages for _ in range(2))
        assert first == again == engine.ask("Who brought the super-complaint?").passages
        assert encoded == ["Who brought the super-complaint?"]


COMPARE = "Compare the dividends of Acme Shipping in 2018 and Northwind Foods in 2017. Which company paid more?"
COMPANIES = {
    "acme.txt": "Acme Shipping paid a dividend of 4 crowns a share in 2018. Its fleet had nine ships then.",
    "northwind.txt": "Northwind Foods distributed 7 crowns a share to its owners in 2017, the year of the new mill.",
    "harbour.txt": "The harbour is closed from December to March, and the pilots are at home.",
    **{f"board-{n}.txt": f"Acme Shipping compared its dividends of 2018 with those of company {n}." for n in range(6)},
}


def test_each_half_of_a_question_is_asked_apart_and_has_its_passages(papers):
    with Engine.open(papers(COMPANIES)) as engine:
        found = engine.ask(COMPARE, k=4)
        first, second = found.parts
        assert first.question == "What about the dividends of Acme Shipping in 2018?"
        assert second.question == "What about the dividends of Northwind Foods in 2017?"
        assert [passage.rank for passage in found.passages] == [1, 2, 3, 4]
        by_rank = {passage.rank: passage.citation.document for passage in found.passages}
        assert "northwind.txt" in {by_rank[rank] for rank in second.passages}
        assert "northwind.txt" not in {by_rank[rank] for rank in first.passages}
        assert found.confidence == min(first.confidence, second.confidence)
        alone = engine.ask(second.question)
        assert (alone.confidence, alone.answered, alone.parts) == (second.confidence, second.answered, [])
        assert {passage.text for passage in found.passages} <= {
            passage.text
            for question in (COMPARE.replace("Compare", "Name"), first.question, second.question)
            for passage in engine.ask(question, k=9).passages
        }


def test_halves_keep_k_the_budget_and_the_filters(papers):
    with Engine.open(papers(COMPANIES)) as engine:
        (only,) = engine.ask(COMPARE, k=1).passages
        assert [part.passages.count(1) for part in engine.ask(COMPARE, k=1).parts].count(1) >= 1
        assert only.rank == 1
        short = engine.ask(COMPARE, k=5, max_tokens=30)
        assert sum(passage.tokens for passage in short.passages) <= 30
        assert {rank for part in short.parts for rank in part.passages} <= {each.rank for each in short.passages}
        none = engine.ask(COMPARE, filters=Filters(document=("no such folder/",)))
        assert (none.answered, none.passages, none.confidence) == (False, [], 0.0)
        assert none.why_not == "No document passes the filters."
        assert engine.ask("Which dividend did Acme Shipping pay in 2018?").why_not is None
        assert [(part.passages, part.answered) for part in none.parts] == [([], False)] * 2


def test_a_question_whose_one_half_is_not_answered_is_not_answered(papers):
    with Engine.open(papers(COMPANIES)) as engine:
        found = engine.ask("When was the harbour of Acme Shipping closed, and who discovered the moons of Jupiter?")
        first, second = found.parts
        assert second.confidence < first.confidence
        assert (second.answered, found.answered, found.confidence) == (False, False, second.confidence)
        assert found.why_not == f"Nothing answers “{second.question}”." or not first.answered


def test_halves_are_shown_on_the_command_line(papers, rag_qa_main):
    index = papers(COMPANIES)
    code, out, _ = rag_qa_main("ask", COMPARE, "--index", index)
    assert code in {0, 1}
    assert "asked apart: What about the dividends of Acme Shipping in 2018? " in out
    _, out, _ = rag_qa_main("ask", COMPARE, "--index", index, "--json")
    parts = json.loads(out)["parts"]
    assert [list(part) for part in parts] == [["question", "passages", "answered", "confidence"]] * 2


PLACES = ["quay", "slipway", "mole", "boathouse", "lighthouse", "ferry ramp"]


@pytest.mark.parametrize("copies", [12, 60])
@pytest.mark.parametrize("place", ["slipway", "quay"])
def test_near_copies_give_way_to_what_adds_something(papers, copies, place):
    minutes = {
        f"minutes-{number:02}.txt": f"Minutes of the harbour meeting, copy {number}\n\nThe {place} will be painted "
        f"with grey anti-slip paint. The paint for the {place} was chosen by the committee. Sent to member {number}."
        for number in range(copies)
    }
    order = {"order.txt": f"Sixty litres of {place} paint were ordered from a mill in the north at 30 crowns a litre."}
    others = {f"other-{other}.txt": f"Nobody has seen the keys of the {other} since May." for other in PLACES}
    index = papers(minutes | order | others)
    with Engine.open(index) as engine:
        question = f"What do we know about the {place} paint?"
        found = engine.ask(question)
        shown = [passage.citation.document for passage in found.passages]
        assert shown[0].startswith("minutes-")
        assert "order.txt" in shown[:3]
        every = engine.ask(question, k=copies + 7).passages  # nothing is hidden
        assert {passage.citation.document for passage in every} >= {*minutes, "order.txt"}
        asking_for_all = engine.ask(f"What are all the notes about the {place} paint?").passages
        assert all(passage.citation.document.startswith("minutes-") for passage in asking_for_all)
        plain = engine.with_settings(variety=False).ask(question)
        assert all(passage.citation.document.startswith("minutes-") for passage in plain.passages)
        assert plain.confidence == found.confidence
