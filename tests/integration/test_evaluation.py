import json

import msgspec
import pytest

from rag_qa.errors import GoldError
from rag_qa.evaluation.gold.gold_file import Evidence, GoldQuestion, check_gold, load_gold, locate
from rag_qa.evaluation.run.evaluate import ask_in_turns, evaluate_gold
from rag_qa.types import Answer


@pytest.fixture(scope="module")
def gold(root):
    return load_gold(root / "eval" / "gold.jsonl")


def test_gold_is_large_enough_and_every_quote_stands_in_its_document(gold, engine, root):
    assert len(gold) >= 45
    assert sum(not question.answerable for question in gold) >= 10
    assert sum(len({item.document for item in question.evidence}) > 1 for question in gold) >= 10
    for question in gold:
        for item in question.evidence:
            assert (root / "seeds" / item.document).read_bytes().decode().count(item.quote) == 1
    assert set(locate(gold, engine)) == {question.id for question in gold}


def test_retrieval_of_the_seeds_is_as_good_as_promised(report):
    assert report.metrics["hit@3"].value >= 0.95
    assert report.metrics["highlight@3"].value >= 0.80
    assert report.metrics["marked_share"].value <= 0.40


def test_every_question_is_reported(report, gold):
    assert [question.id for question in report.questions] == [question.id for question in gold]
    for question in report.questions:
        assert bool(question.measures) == question.answerable
        assert len(question.retrieved) == 10


def test_judging_goes_by_overlap_with_the_quote(report):
    question = next(q for q in report.questions if q.question == "Which lawyer spoke for Liberty?")
    for item in question.retrieved:
        assert item.relevant == ("Liberty lawyer Lara ten Caten" in item.text)


def test_also_in_counts(gold, engine, monkeypatch):
    """A relevant passage that is only named in `also_in` is found."""
    question = next(q for q in gold if q.id == "q14")
    real = engine.ask(question.question, k=10)
    right = next(p for p in real.passages if "Lara ten Caten" in p.text)
    other = next(p for p in real.passages if "Lara ten Caten" not in p.text)
    merged = msgspec.structs.replace(other, rank=1, also_in=[right.citation])

    class Merging:
        settings = engine.settings
        collection = engine.collection
        with_settings = lambda self, **_: self  # noqa: E731

        def ask(self, *_, **__) -> Answer:
            return msgspec.structs.replace(real, passages=[merged])

    (result,) = evaluate_gold([question], Merging(), {"q14": real}, lambda *_: None).questions
    assert result.retrieved[0].relevant
    assert result.measures["hit@1"] == 1


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ([{"document": "nowhere.txt", "quote": "x"}], "not in the index"),
        ([{"document": "004_cd7c5bba8cc9e53d.txt", "quote": "unicorns"}], "does not stand in"),
        ([{"document": "004_cd7c5bba8cc9e53d.txt", "quote": "HMICFRS", "start": 3}], "at 3"),
        ([{"document": "004_cd7c5bba8cc9e53d.txt", "quote": "HMICFRS"}], "more than once"),
        (
            [{"document": "004_cd7c5bba8cc9e53d.txt", "quote": "Today", "start": 0, "end": 9}],
            "not as start and end say",
        ),
        ([{"document": "004_cd7c5bba8cc9e53d.txt", "quote": ""}], "does not stand in"),
        ([{"document": "004_cd7c5bba8cc9e53d.txt", "quote": "\n", "start": 204}], "does not stand in"),
        ([{"document": "004_cd7c5bba8cc9e53d.txt", "quote": "Today", "end": 99}], "not as start and end say"),
        ([{"document": "004_cd7c5bba8cc9e53d.txt", "quote": "Today", "start": -10}], "Expected `int` >= 0"),
    ],
)
def test_quotes_that_cannot_be_placed(engine, tmp_path, evidence, message):
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps({"id": "q", "question": "what?", "answerable": True, "evidence": evidence}))
    with pytest.raises(GoldError, match=message):
        locate(load_gold(path), engine)


def test_a_quote_that_stands_twice_needs_a_start(engine):
    text = next(
        engine.collection.document(info.id).text
        for info, _ in engine.collection.documents()
        if info.path.startswith("004")
    )
    start = text.rindex("HMICFRS")
    question = GoldQuestion("q", "what?", True, (Evidence("004_cd7c5bba8cc9e53d.txt", "HMICFRS", start),))
    (span,) = locate([question], engine)["q"]
    assert (span.start, span.end) == (start, start + 7)


def test_eval_on_the_command_line(root, seeds_index, report, rag_qa_main, monkeypatch):
    monkeypatch.chdir(root)
    code, shown, _ = rag_qa_main("eval", "--index", seeds_index, "--verbose")
    assert code == 0
    assert "hit@3" in shown
    assert "Which lawyer spoke for Liberty?" in shown
    told = json.loads(rag_qa_main("eval", "--index", seeds_index, "--json")[1])
    assert set(told["metrics"]["ndcg@10"]) == {"value", "low", "high"}
    assert told["snapshot"] == report.snapshot


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--beir", "x", "--index", "y"], "A collection has an index of its own"),
        (["--beir", "x", "--gate"], "--gate and --write-baseline are for gold questions"),
        (["--set", "dense_weight"], "give NAME=VALUE"),
        (["--set", "fame=1"], "fame"),
        (["--set", "dense_weight=2"], "dense_weight"),
        (["--compare", "none.json"], "“none.json” cannot be read"),
        (["--html", "none/report.html"], "there is no folder “none”"),
        (["--html", "."], "“.” is there and is no page"),
        (["--stage", "search"], "--stage chooses what --ablate does"),
        (["--beir", "x", "--beir", "y/x"], "Two collections are called “x”"),
        (["--gold", "none.jsonl"], "“none.jsonl” cannot be read"),
    ],
)
def test_wrong_usage_gets_a_sentence(rag_qa_main, seeds_index, monkeypatch, tmp_path, given, message):
    monkeypatch.chdir(tmp_path)
    given = given if "--beir" in given else [*given, "--index", seeds_index]
    code, shown, told = rag_qa_main("eval", *given)
    assert (code, shown) == (2, "")
    assert message in told


def test_a_question_without_result_scores_zero_in_every_measure(gold, engine):
    class Silent:
        settings = engine.settings
        collection = engine.collection
        with_settings = lambda self, **_: self  # noqa: E731

        def ask(self, question, **_) -> Answer:
            real = engine.ask(question)
            return msgspec.structs.replace(real, passages=[], answered=False, confidence=None)

    questions = [next(q for q in gold if q.id == "q14")]
    answers = ask_in_turns({"silent": Silent()}, {"q14": questions[0].question}, lambda *_: None)["silent"]
    (result,) = evaluate_gold(questions, Silent(), answers, lambda *_: None).questions
    assert result.measures.pop("marked_share") == 1.0  # the worst
    assert set(result.measures.values()) == {0.0}
    assert result.first_relevant is None
    assert (result.confidence, result.answered, result.right) == (0.0, False, False)


def test_a_report_says_what_it_was_made_with(report, engine):
    assert report.snapshot == engine.info.id
    assert report.settings["passage_tokens"] == 140
    assert report.settings["dense_weight"] == 0.55
    assert {"rag_qa", "python", "tantivy", "scipy"} <= report.versions.keys()
    assert report.counts == {"documents": 3, "passages": 19, "questions": 68, "answerable": 53}
    for name, each in report.figures.items():
        assert each.low <= each.high
        assert each.low <= each.value <= each.high or name == "ece"  # whose interval takes off its bias
    times = [question.latency_ms for question in report.questions]
    assert report.metrics["latency_p50"].value == pytest.approx(sorted(times)[33] / 2 + sorted(times)[34] / 2)
    assert report.abstention.curve[-1][0] == 1.0
    facts = [question for question in report.questions if "fact" in question.tags]
    assert report.tags["fact"].questions == len(facts)
    hits = sum(question.measures["hit@3"] for question in facts)
    assert report.tags["fact"].metrics["hit@3"].value == pytest.approx(hits / len(facts))
    assert not {"unanswerable", "when"} & report.tags.keys()  # of the latter there are two


def test_engines_take_turns_and_each_answers_all(engine):
    asked = []

    class Noting:
        settings = engine.settings
        with_settings = lambda self, **_: self  # noqa: E731

        def __init__(self, name):
            self.name = name

        def ask(self, question, **_):
            asked.append((self.name, question))
            return question.upper()

    found = ask_in_turns({"a": Noting("a"), "b": Noting("b")}, {"1": "x", "2": "y"}, lambda *_: None)
    assert found == {"a": {"1": "X", "2": "Y"}, "b": {"1": "X", "2": "Y"}}
    assert asked[:2] == [("a", "x"), ("b", "x")]  # each answers once before
    assert sorted(asked[2:4]) == [("a", "x"), ("b", "y")]
    assert sorted(asked[4:]) == [("a", "y"), ("b", "x")]


def test_checking_gold_names_all_that_is_wrong_and_the_nearest_text(engine, tmp_path):
    path = tmp_path / "gold.jsonl"
    document = "004_cd7c5bba8cc9e53d.txt"
    quotes = ["recommends changes to law and policies to establish safer reporting mechanisms", "HMICFRS"]
    lines = [
        {"id": "1", "question": "what?", "answerable": True, "evidence": [{"document": document, "quote": quotes[0]}]},
        {"id": "2", "question": "what?", "answerable": True, "evidence": [{"document": document, "quote": quotes[1]}]},
        {"id": "3", "question": "what?", "answerable": True, "evidence": [{"document": "none.txt", "quote": "x"}]},
        {"id": "3", "question": "what?", "answerable": False},
        {"id": "4", "question": "what?", "answerable": False},
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n{\n")
    count, problems = check_gold(path, engine)
    assert count == 6
    assert [(each.line, each.question) for each in problems] == [(1, "1"), (2, "2"), (3, "3"), (4, "3"), (6, "")]
    assert problems[0].nearest == "recommends changes to law and policy to establish safe reporting mechanisms"
    assert "more than once" in problems[1].problem
    assert "none.txt" in problems[2].problem
    assert "of line 3" in problems[3].problem


def test_checking_finds_what_evaluating_would_refuse(engine, tmp_path):
    path = tmp_path / "gold.jsonl"
    quoted = {"document": "004_cd7c5bba8cc9e53d.txt", "quote": "unicorns"}
    lines = [
        {"id": "1", "question": "what? " * 500, "answerable": False},
        {"id": "1", "question": "who?", "answerable": False, "evidence": [quoted]},
    ]
    path.write_text("\ufeff" + "\r\n".join(map(json.dumps, lines)) + "\r\n", "utf-8")
    count, problems = check_gold(path, engine)
    assert count == 2
    assert [each.line for each in problems] == [1, 2, 2, 0]
    assert "cannot be asked" in problems[0].problem
    assert "unicorns" in problems[2].problem  # also of a line with another problem
    assert "None of the 2 questions" in problems[3].problem
    path.write_text("")
    assert "holds no question" in check_gold(path, engine)[1][0].problem


def test_a_question_that_cannot_be_asked_is_named(engine):
    with pytest.raises(GoldError, match="Question long cannot be asked: The question has"):
        ask_in_turns({"x": engine}, {"ok": "who?", "long": "what? " * 500}, lambda *_: None)


def test_limits_of_a_user_s_questions_do_not_change_the_measures(subject, report):
    """Neither `max_k`, a mere limit, nor asking for more passages than a user does."""
    limited = msgspec.structs.replace(subject, engine=subject.engine.with_settings(max_k=2))
    measures = {each.id: each.measures for each in limited.evaluate(lambda *_: None).questions}
    assert measures == {each.id: each.measures for each in report.questions}
    shallow = msgspec.structs.replace(subject, engine=subject.engine.with_settings(depth=2))
    for each in shallow.evaluate(lambda *_: None).questions[:5]:
        answer = shallow.engine.ask(each.question)
        found = [(item.document, item.start) for item in each.retrieved[:5]]
        assert found == [(item.citation.document, item.citation.start) for item in answer.passages]


def test_options_before_a_subcommand_are_refused(rag_qa_main, seeds_index):
    code, _, told = rag_qa_main("eval", "--index", seeds_index, "check", "gold.jsonl")
    assert code == 2
    assert "Options of `check` come after its name" in told


def test_names_are_no_markup(seeds_index, few_gold, rag_qa_main, tmp_path):
    gold = tmp_path / "a[" / "x]" / "[red]gold.jsonl"
    gold.parent.mkdir(parents=True)
    few_gold.rename(gold)
    code, shown, _ = rag_qa_main("eval", "--index", seeds_index, "--gold", gold, "--verbose")
    assert code == 0
    assert "a[/x]/[red]gold.jsonl: 11 of 14" in shown


def test_a_page_is_never_written_over_something_else(seeds_index, few_gold, rag_qa_main, tmp_path):
    given = ["eval", "--index", seeds_index, "--gold", few_gold, "--html"]
    mine = tmp_path / "mine.jsonl"
    mine.write_text("mine")
    code, _, told = rag_qa_main(*given, mine)
    assert (code, mine.read_text()) == (2, "mine")
    assert "is there and is no page" in told
    for _ in range(2):  # the second time over the first
        assert rag_qa_main(*given, tmp_path / "page.html")[0] == 0


def test_what_a_document_is_called_gives_no_order_to_the_terminal(seeds_index, rag_qa_main, tmp_path):
    gold = tmp_path / "gold.jsonl"
    evidence = [{"document": "\x1b[31ma.txt\nforged", "quote": "x"}]
    gold.write_text(json.dumps({"id": "\x1b[2J", "question": "who?", "answerable": True, "evidence": evidence}))
    for command in (["eval", "--gold", gold], ["eval", "check", gold]):
        code, shown, told = rag_qa_main(*command, "--index", seeds_index)
        assert code in {1, 2}
        assert "\x1b" not in shown + told
        assert "a.txt forged" in shown + told


def test_evidence_of_what_is_not_answerable_counts_for_nothing(engine):
    evidence = (Evidence("000_5224d541ffe01583.txt", "Liberty lawyer Lara ten Caten"),)
    questions = [
        GoldQuestion("1", "Which lawyer spoke for Liberty?", answerable=False, evidence=evidence),
        GoldQuestion("2", "Which lawyer spoke for Liberty?", answerable=True, evidence=evidence),
    ]
    texts = {each.id: each.question for each in questions}
    answers = ask_in_turns({"x": engine}, texts, lambda *_: None)["x"]
    not_answerable, answerable = evaluate_gold(questions, engine, answers, lambda *_: None).questions
    assert (not_answerable.right, answerable.right) == (False, True)
    assert not any(item.relevant for item in not_answerable.retrieved)


def test_wide_tables_are_cut_where_the_terminal_is_narrow(report):
    from io import StringIO

    from rich.console import Console

    from rag_qa.evaluation.report.tables import show_reports

    text = StringIO()
    show_reports([report] * 4, Console(file=text, width=80, markup=False))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 110  # the lines below the tables are not broken
    assert sum(line.split()[:1] == ["ndcg@10"] for line in lines) == 2  # two collections beside each other
    assert "…" not in text.getvalue()
