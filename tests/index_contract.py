"""The promises of `rag_qa.index.protocol`, checked over every engine: local, in memory, and any that is named.

    pytest tests/index_contract.py --index-engine=module:factory

`factory(folder)` gives an engine for one index: an object with `open_index(then)`, `open_writer(settings, progress,
wait=…, dry_run=…)` and `open_history()`, as the functions of `rag_qa.index` without their location.
"""

import math
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from support.engines import engine_factory
from support.memory_index import rounded
from support.small_collections import (
    WORDS,
    file_of,
    info,
    make_document,
    random_documents,
    unit_vectors,
    vectors_of,
    with_path,
    write,
)

from rag_qa.errors import (
    BusyError,
    ConflictError,
    IndexDamagedError,
    IndexMissingError,
    InputError,
    NotFoundError,
    QuestionError,
    UnknownFieldError,
)
from rag_qa.filters import Filters, matcher
from rag_qa.index.records import SearchOptions
from rag_qa.settings import Settings
from rag_qa.text.acronyms.lexicon import resolve
from rag_qa.text.analysis import analyze, stems
from rag_qa.text.duplicates import signature

QUESTIONS = ("harbour ship", "the pilot of the ferry ship ship", "budget", "nothing that stands there", "")
SMALL_SEGMENTS = Settings(segment_passages=16)
DEPTH = 7


def opened(engine):
    return engine.open_index(lambda index: index)


def rows_of(documents):
    """Documents and passages in the order of rows."""
    ordered = sorted(documents, key=lambda each: (each.document.file, each.document.record or 0))
    return [(each, passage) for each in ordered for passage in each.passages]


def query(*texts):
    """Vectors, terms and shares of variants, as `read_query` makes them but for idf."""
    counts = [Counter(analyze(text)) for text in texts]
    shares = [{term: n / sum(each.values()) for term, n in each.items()} for each in counts]
    return unit_vectors(texts), counts, shares


def search(index, *texts, depth=DEPTH, filters=None, **options):
    return index.search(*query(*texts), SearchOptions(depth=depth, **options), filters)


def best(scores, depth):
    """The rows with the highest scores, equal ones by row."""
    return sorted(scores, key=lambda row: (-scores[row], row))[:depth]


class Expected:
    """What search has to find, by the plainest arithmetic, over documents that are left."""

    def __init__(self, documents):
        self.rows = rows_of(documents)
        self.vectors = vectors_of(list({each.document.id: each for each, _ in self.rows}.values()))
        self.counts = [Counter(stems(passage.in_context)) for _, passage in self.rows]
        self.length = sum(sum(each.values()) for each in self.counts) / len(self.rows)

    def idf(self, term):
        n = sum(term in counts for counts in self.counts)
        return math.log(1 + (len(self.rows) - n + 0.5) / (n + 0.5))

    def bm25(self, terms):
        return {
            row: score
            for row, counts in enumerate(self.counts)
            if (score := sum(n * self.idf(term) * self._saturation(counts, term) for term, n in terms.items()))
        }

    def _saturation(self, counts, term):
        length = rounded(sum(counts.values()))
        return 2.2 * counts[term] / (counts[term] + 1.2 * (0.25 + 0.75 * length / self.length)) if counts[term] else 0.0

    def dense(self, vector, *, sentences):
        whole = self.vectors.passages.astype(np.float16).astype(np.float64) @ vector.astype(np.float64)
        if not sentences:
            return whole
        each = self.vectors.sentences.astype(np.float64) @ vector.astype(np.float64)
        ends = np.cumsum(self.vectors.counts)
        return np.array(
            [
                max(whole[row], each[end - n : end].max())
                for row, (n, end) in enumerate(zip(self.vectors.counts, ends, strict=True))
            ]
        )

    def coverage(self, shares, row):
        document, passage = self.rows[row]
        place = document.passages.index(passage)
        near = document.passages[max(0, place - 1) : place + 2]
        own, both = set(analyze(passage.in_context)), set(analyze(" ".join(each.in_context for each in near)))
        return [sum(share for term, share in shares.items() if term in held) for held in (own, both)]

    def check(self, found, texts, *, depth=DEPTH, allowed=None, dense=True, bm25=True, sentences=True):
        """Compares candidates with what they have to be."""
        vectors, terms, shares = query(*texts)
        rows = range(len(self.rows)) if allowed is None else [row for row in range(len(self.rows)) if row in allowed]
        expected, kept = set(), []
        for vector, counts in zip(vectors, terms, strict=True):
            by_vector = self.dense(vector, sentences=False)
            if dense:
                expected.update(best({row: by_vector[row] for row in rows}, depth))
            by_terms = self.bm25(counts) if bm25 else {}
            kept.append(
                {row: by_terms[row] for row in best({row: s for row, s in by_terms.items() if row in rows}, depth)}
            )
            expected.update(kept[-1])
        assert found.rows.tolist() == sorted(expected)
        for number, vector in enumerate(vectors):
            near = self.dense(vector, sentences=sentences)
            for place, row in enumerate(found.rows.tolist()):
                assert found.dense[number, place] == pytest.approx(near[row], abs=1e-3)
                assert found.bm25[number, place] == pytest.approx(kept[number].get(row, 0.0), abs=1e-5)
                assert found.coverage[number, :, place] == pytest.approx(self.coverage(shares[number], row), abs=1e-9)


@pytest.fixture
def engine(engine_named, tmp_path):
    """An engine for one index, in which nothing is yet."""
    return engine_factory(engine_named)(tmp_path)


@pytest.fixture
def documents():
    return random_documents(seed=1, count=30)


@pytest.fixture
def index(engine, documents):
    write(engine, documents, settings=SMALL_SEGMENTS)
    index = opened(engine)
    yield index
    index.close()


# Searching


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_search_finds_and_scores_what_brute_force_does(index, documents, text):
    Expected(documents).check(search(index, text), [text])


def test_two_variants_are_searched_and_every_row_is_scored_by_both(index, documents):
    texts = ["ferry pilot", "the captain of the island"]
    Expected(documents).check(search(index, *texts), texts)


@pytest.mark.parametrize("only", ["dense", "bm25"])
def test_either_search_can_be_left_out(index, documents, only):
    chosen = {name: name == only for name in ("dense", "bm25")}
    Expected(documents).check(search(index, "harbour ship", **chosen), ["harbour ship"], **chosen)


def test_sentences_can_be_left_out(index, documents):
    Expected(documents).check(search(index, "ice", sentences=False), ["ice"], sentences=False)


@pytest.mark.parametrize("depth", [1, 3, 1000])
def test_depth_counts_over_the_whole_collection(index, documents, depth):
    Expected(documents).check(search(index, "clock market", depth=depth), ["clock market"], depth=depth)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8))
def test_any_question_is_searched_as_by_brute_force(index, documents, words):
    text = " ".join(words)
    Expected(documents).check(search(index, text), [text])


def test_ties_at_the_cut_are_decided_by_row(engine):
    documents = [make_document(f"{number:02}.txt", [["The same ship."]]) for number in range(9)]
    write(engine, documents)
    found = search(opened(engine), "ship", depth=4)
    assert found.rows.tolist() == [0, 1, 2, 3]


def test_a_repeated_term_counts_as_often_as_it_stands_there(index):
    once, twice = search(index, "storm", dense=False), search(index, "storm storm", dense=False)
    assert twice.bm25 == pytest.approx(2 * once.bm25, abs=1e-5)


def test_no_score_of_a_term_is_above_the_bound(index):
    for word in WORDS[: WORDS.index("the")]:
        (term,) = analyze(word)
        found = search(index, word, depth=1000)
        assert found.bm25.max() <= index.bm25_bound * index.idf([term])[term] + 1e-5


def test_rows_can_be_left_out_alone_and_with_a_filter(index, documents):
    rows = range(len(rows_of(documents)))
    found = search(index, "harbour", without=(0, 2, 5))
    Expected(documents).check(found, ["harbour"], allowed=set(rows) - {0, 2, 5})
    filters = Filters(format="md")
    passing = {
        row for row, (each, _) in enumerate(rows_of(documents)) if each.document.metadata["format"] == "markdown"
    }
    hidden = tuple(sorted(passing))[:4]
    found = search(index, "harbour", filters=filters, without=hidden)
    Expected(documents).check(found, ["harbour"], allowed=passing - set(hidden))
    assert not len(search(index, "harbour", without=tuple(rows)).rows)


# Filters


FILTERS = [
    Filters(document="0*.txt"),
    Filters(document=("00?.*", "!*.md")),
    Filters(format="markdown"),
    Filters(format=("txt", "md"), language="de"),
    Filters(date_from="2015", date_to="2020-03"),
    Filters(metadata={"topic": "sea"}),
    Filters(metadata={"title": "003.txt"}),
    Filters(language="en", metadata={"topic": "land"}, date_from="2012-02"),
]


@pytest.mark.parametrize("filters", FILTERS, ids=repr)
def test_filters_decide_which_rows_are_found_and_never_a_score(index, documents, filters):
    passes = matcher(filters, {"title"}.union(*(each.document.metadata for each in documents)))
    allowed = {row for row, (each, _) in enumerate(rows_of(documents)) if passes(each.document)}
    Expected(documents).check(search(index, "harbour ship", filters=filters), ["harbour ship"], allowed=allowed)


def test_where_no_document_passes_nothing_is_found(index):
    assert search(index, "ship", filters=Filters(document="nowhere/")).rows.tolist() == []


def test_no_filter_is_as_good_as_none(index):
    assert search(index, "ship", filters=Filters()).rows.tolist() == search(index, "ship").rows.tolist()


@pytest.mark.parametrize(
    ("filters", "error"),
    [
        (Filters(metadata={"colour": "red"}), UnknownFieldError),
        (Filters(date_from="May"), QuestionError),
        (Filters(document=""), QuestionError),
    ],
)
def test_a_filter_that_cannot_be_used_is_refused_with_and_without_a_search(index, filters, error):
    with pytest.raises(error):
        search(index, "ship", filters=filters)
    with pytest.raises(error):
        index.check_filters(filters)


def test_facets_count_documents(index, documents):
    for name in ("format", "language"):
        counts = Counter(each.document.metadata[name] for each in documents)
        assert index.facets()[name] == sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    assert index.facets().keys() == {"format", "language"}


def test_acronyms_are_those_of_all_documents(engine):
    documents = [
        make_document("a.txt", [["The Harbour Pilot Authority (HPA) was founded."], ["The HPA is old."]]),
        make_document("b.txt", [["The HPA fell in love with the European Ferry Union (EFU)."]]),
    ]
    write(engine, documents)
    expected = resolve((each.document.path, each.mentions) for each in documents)
    assert [each.acronym for each in expected] == ["EFU", "HPA"]
    assert tuple(opened(engine).acronyms) == expected


def test_what_belongs_to_an_index_lies_in_its_folder(engine, index, documents):
    assert index.folder.is_dir()
    assert index.encoder_folder == index.folder / "encoder" / index.info.encoder.digest
    with engine.open_writer(Settings(), lambda *_: None) as writer:
        assert writer.folder == index.folder


# Reading


def test_what_is_read_is_what_was_written(index, documents):
    rows = rows_of(documents)
    read = index.passages(range(len(rows)))
    assert [(info, passage) for info, passage in read] == [(each.document.info, passage) for each, passage in rows]
    ordered = list(dict.fromkeys(each.document.id for each, _ in rows))
    assert [(each.id, count) for each, count in index.documents()] == [
        (identity, sum(each.document.id == identity for each, _ in rows)) for identity in ordered
    ]
    for identity in ordered:
        document = index.document(identity)
        described, own = index.document_info(identity)
        assert described == document.info
        for _, passage in index.passages(own):
            assert document.text[passage.start : passage.end] == passage.text
    assert index.info.counts.passages == len(rows)


def test_passages_come_in_the_order_in_which_they_are_asked_for(index, documents):
    rows = rows_of(documents)
    wanted = [5, 0, len(rows) - 1, 5]
    assert [passage for _, passage in index.passages(wanted)] == [rows[row][1] for row in wanted]


def test_vectors_and_signatures_are_those_of_the_rows(index, documents):
    rows = [3, 0, 11]
    passages = [rows_of(documents)[row][1] for row in rows]
    assert index.passage_vectors(rows) == pytest.approx(unit_vectors([each.in_context for each in passages]), abs=1e-3)
    assert (index.signatures(rows) == np.stack([signature(each.text) for each in passages])).all()
    questions = unit_vectors(["one", "two"])
    for scores, passage in zip(index.sentence_scores(questions, rows), passages, strict=True):
        assert scores == pytest.approx(questions @ unit_vectors(passage.sentence_texts).T, abs=1e-3)


def test_documents_are_listed_in_parts(index):
    every = index.documents()
    assert index.documents(3, 4) == every[3:7]
    assert index.documents(len(every) - 1) == every[-1:]
    assert index.documents(len(every) + 5) == []
    assert index.documents(2, 0) == []


def test_unknown_ids_give_none(index):
    assert index.document("0" * 16) is None
    assert index.document_info("no such id") is None


def test_idf_is_that_of_bm25_for_known_and_unknown_terms(index, documents):
    expected = Expected(documents)
    terms = [*map(str, analyze("harbour ship")), "unknown"]
    assert index.idf(terms) == pytest.approx({term: expected.idf(term) for term in terms}, abs=1e-5)


# Writing


def changed(documents):
    """Documents as they are, without some, renamed, and new ones; what is left, and what to write."""
    kept, removed, moved = documents[:18], documents[18:24], documents[24:]
    new = random_documents(seed=2, count=5)
    new = [structs.replace(each, document=with_path(f"new {each.document.path}", each.document)) for each in new]
    renamed = {each.document.path: f"renamed {each.document.path}" for each in moved}
    left = [
        *kept,
        *new,
        *(structs.replace(each, document=with_path(renamed[each.document.path], each.document)) for each in moved),
    ]
    assert removed
    return left, {"documents": new, "keep": [each.document.path for each in kept], "renamed": renamed}


def test_after_a_change_everything_is_as_in_an_index_of_what_is_left(engine, index, documents):
    left, change = changed(documents)
    write(engine, **change, settings=SMALL_SEGMENTS)
    after, expected = opened(engine), Expected(left)
    for text in QUESTIONS[:3]:
        expected.check(search(after, text), [text])
    assert after.idf(["harbour"]) == pytest.approx({"harbour": expected.idf("harbour")}, abs=1e-5)
    test_what_is_read_is_what_was_written(after, left)
    assert [file.path for file in after.files()] == sorted(each.document.path for each in left)
    after.close()


def test_the_order_in_which_documents_come_changes_no_digest(engine, index, documents):
    left, change = changed(documents)
    with engine.open_writer(SMALL_SEGMENTS, lambda *_: None) as writer:
        writer.keep(set(change["keep"]))
        writer.add(change["documents"][::-1], [vectors_of(change["documents"][::-1])])
        for old, new in change["renamed"].items():
            writer.rename(old, lambda document, new=new: with_path(new, document))
        digests = list(writer.digests())
        assert writer.counts().documents == len(left)
    ordered = {each.document.id: each for each, _ in rows_of(left)}
    assert digests == [each.digest for each in ordered.values()]


def test_vectors_may_come_in_parts(engine, documents):
    with engine.open_writer(SMALL_SEGMENTS, lambda *_: None) as writer:
        both = vectors_of(documents)
        cut = 7
        sentences = sum(both.counts[:cut])
        parts = [
            structs.replace(
                both, passages=both.passages[:cut], sentences=both.sentences[:sentences], counts=both.counts[:cut]
            ),
            structs.replace(
                both, passages=both.passages[cut:], sentences=both.sentences[sentences:], counts=both.counts[cut:]
            ),
        ]
        writer.add(documents, iter(parts))
        writer.commit(sorted(map(file_of, documents), key=lambda file: file.path), info(writer, "0" * 16), 3)
    Expected(documents).check(search(opened(engine), "harbour"), ["harbour"])


def test_two_documents_of_one_name_are_refused(engine, index, documents):
    with pytest.raises(InputError, match="would both be called"):
        write(engine, [documents[0], documents[0]])
    with pytest.raises(InputError, match="would both be called"):
        write(engine, [documents[0]], keep=[documents[0].document.path])
    assert opened(engine).info == index.info


def test_records_of_a_feed_come_in_their_order(engine):
    documents = [make_document("feed.jsonl", [[f"Ship {number}."]], record=number) for number in (10, 2, 1)]
    write(engine, documents)
    assert [each.path for each, _ in opened(engine).documents()] == ["feed.jsonl#1", "feed.jsonl#2", "feed.jsonl#10"]


def test_what_is_not_committed_leaves_the_index_as_it_was(engine, index, documents):
    new = random_documents(seed=3, count=3)
    with engine.open_writer(SMALL_SEGMENTS, lambda *_: None) as writer:
        writer.add(new, [vectors_of(new)])
        writer.discard()
    with pytest.raises(InputError, match="would both"):
        write(engine, [*new, new[0]])
    assert opened(engine).info == index.info
    assert len(engine.open_history().entries()) == 1


def test_a_writer_gives_the_previous_snapshot_and_the_new_facts(engine, index, documents):
    with engine.open_writer(SMALL_SEGMENTS, lambda *_: None) as writer:
        assert writer.previous.info == index.info
        assert writer.rebuilt is None
        writer.keep({each.document.path for each in documents})
        made = writer.commit(index.files(), info(writer, "f" * 16), 3)
        writer.discard()  # does nothing any more
    assert made == opened(engine).info
    assert made.name.startswith("f" * 16)
    assert made.counts == index.info.counts
    assert made.encoder.dimension == 8


def test_a_dry_run_counts_and_writes_nothing(engine, index, documents):
    with engine.open_writer(SMALL_SEGMENTS, lambda *_: None):  # a dry run waits for no lock
        pass
    left, change = changed(documents)
    with engine.open_writer(SMALL_SEGMENTS, lambda *_: None, dry_run=True) as writer:
        writer.add(change["documents"], ())
        for old, new in change["renamed"].items():
            writer.rename(old, lambda document, new=new: with_path(new, document))
        writer.keep(set(change["keep"]))
        assert writer.counts().passages == len(rows_of(left))
        assert len(list(writer.digests())) == len(left)
    assert opened(engine).info == index.info


def test_a_second_writer_waits_or_is_refused(engine, index, documents):
    order, begun = [], threading.Event()

    def second():
        begun.set()
        with engine.open_writer(SMALL_SEGMENTS, lambda *_: None):
            order.append("second")

    with engine.open_writer(SMALL_SEGMENTS, lambda *_: None):
        with pytest.raises(BusyError), engine.open_writer(SMALL_SEGMENTS, lambda *_: None, wait=False):
            pass
        thread = threading.Thread(target=second)
        thread.start()
        begun.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_an_index_that_was_never_written_is_missing(engine):
    with pytest.raises(IndexMissingError):
        opened(engine)
    with pytest.raises(IndexMissingError):
        engine.open_history().current()
    with engine.open_writer(SMALL_SEGMENTS, lambda *_: None) as writer:
        assert writer.previous is None
        assert writer.counts().documents == 0
        assert list(writer.digests()) == []
    with pytest.raises(IndexMissingError):
        opened(engine)


# A snapshot that changes underneath


def test_an_opened_index_answers_as_before_while_others_commit_roll_back_and_prune(engine, index, documents):
    before = search(index, "harbour ship")
    _, change = changed(documents)
    write(engine, **change, settings=SMALL_SEGMENTS)
    engine.open_history().roll_back()
    engine.open_history().roll_back(engine.open_history().entries()[0].name)
    engine.open_history().prune(1)
    after = search(index, "harbour ship")
    assert after.rows.tolist() == before.rows.tolist()
    assert (after.dense == before.dense).all()
    assert (after.bm25 == before.bm25).all()
    assert index.document_info(documents[20].document.id) is not None
    assert opened(engine).document_info(documents[20].document.id) is None


def test_eight_threads_get_the_same(index):
    expected = search(index, "captain island")
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: search(index, "captain island", filters=Filters()), range(40)):
            assert (found.rows == expected.rows).all()
            assert (found.dense == expected.dense).all()
            assert (found.coverage == expected.coverage).all()


def test_opening_hands_over_what_is_made_of_the_index_and_passes_on_what_is_raised(engine, index):
    assert engine.open_index(lambda opened: opened.info.counts.passages) == index.info.counts.passages
    with pytest.raises(ZeroDivisionError):
        engine.open_index(lambda _: 1 / 0)


# History


def test_history_names_compares_and_goes_back(engine, index, documents):
    left, change = changed(documents)
    now = write(engine, **change, identity="e" * 16, settings=SMALL_SEGMENTS)
    history = engine.open_history()
    assert history.current() == now.name == history.info().name
    assert [(entry.name, entry.current) for entry in history.entries()] == [(now.name, True), (index.info.name, False)]
    assert history.resolve("current") == now.name
    assert history.resolve("previous") == index.info.name == history.resolve(index.info.name[:5])
    assert history.details(now.name).info == now
    assert history.verify(now.name).whole
    difference = history.diff(index.info.name, now.name)
    assert difference.removed == sorted(each.document.path for each in documents[18:])
    assert len(difference.added) == len(left) - 18
    assert history.roll_back() == (index.info.name, now.name)
    assert opened(engine).info == index.info
    assert history.roll_back(now.name[:6]) == (now.name, index.info.name)
    pruned = history.prune(1)
    assert (pruned.removed, pruned.kept) == ([index.info.name], [now.name])


def test_history_refuses_what_is_not_there(engine, index):
    history = engine.open_history()
    with pytest.raises(NotFoundError):
        history.resolve("abc")
    with pytest.raises(NotFoundError):
        history.resolve("")
    with pytest.raises(ConflictError):
        history.roll_back()


def test_commit_keeps_as_many_snapshots_as_it_is_told(engine, documents):
    for number in range(4):
        write(engine, documents[: 10 + number], identity=f"{number:016x}", snapshots=2)
    assert [entry.name[:16] for entry in engine.open_history().entries()] == [f"{number:016x}" for number in (3, 2)]


# Damage, where an engine has files


def test_a_changed_byte_raises_before_anything_of_it_is_returned(engine, index, documents):
    if not hasattr(engine, "files"):
        pytest.skip("this engine keeps no files")
    index.close()
    for path in engine.files():
        data = path.read_bytes()
        for place in {0, len(data) // 2, len(data) - 1} if data else ():
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
            with pytest.raises(IndexDamagedError):
                opened(engine)
        path.write_bytes(data)
    opened(engine).close()
