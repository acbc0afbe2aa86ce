import json
import os
import shutil
import subprocess
import sys

import pytest

from rag_qa import Engine
from rag_qa.errors import GoldError
from rag_qa.evaluation.beir import index_folder, load_collection
from rag_qa.evaluation.gold import GoldQuestion, load_gold, locate
from rag_qa.evaluation.measures import aggregate, ranking_measures
from rag_qa.evaluation.run import evaluate_gold
from rag_qa.types import Answer


@pytest.fixture(scope="module")
def gold(root):
    return load_gold(root / "eval" / "gold.jsonl")


@pytest.fixture(scope="module")
def report(gold, engine):
    return evaluate_gold("gold", gold, engine, lambda *_: None)


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


def test_ranking_measures_by_hand():
    relevant = {"a": {"x": 1, "y": 1}, "b": {"z": 1}, "c": {"z": 1}}
    scores = ranking_measures(relevant, {"a": ["n", "x", "m", "y"], "b": ["z"]})
    assert scores["a"]["hit@1"] == 0
    assert scores["a"]["hit@3"] == 1
    assert scores["a"]["recall@5"] == 1
    assert scores["a"]["mrr"] == 0.5
    assert scores["a"]["ndcg@10"] == pytest.approx((0.63093 + 0.43068) / (1 + 0.63093), abs=1e-4)
    assert scores["b"]["ndcg@10"] == 1
    assert set(scores["c"].values()) == {0.0}  # a question without a result scores zero


def test_an_interval_holds_its_mean_and_is_the_same_each_time():
    values = [0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    first = aggregate(values)
    assert first == aggregate(values)
    assert first.low < first.value == 0.75 < first.high
    assert aggregate([1.0, 1.0]).low == 1.0


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
    import msgspec

    merged = msgspec.structs.replace(other, rank=1, also_in=[right.citation])

    class Merging:
        manifest = engine.manifest
        documents, document, passages = engine.documents, engine.document, engine.passages

        def ask(self, *_, **__) -> Answer:
            return msgspec.structs.replace(real, passages=[merged])

    (result,) = evaluate_gold("x", [question], Merging(), lambda *_: None).questions
    assert result.retrieved[0].relevant
    assert result.measures["hit@1"] == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "Line 2 of .* is no gold question"),
        ('{"id": "1", "question": "what?", "answerable": true, "evidence": []}', "repeats the id “1”"),
        ('{"id": "2", "question": "what?", "answerable": true}', "needs evidence"),
        ('{"id": "2", "question": 7, "answerable": true}', "Expected `str`"),
    ],
)
def test_broken_gold_is_named_by_line(tmp_path, line, message):
    path = tmp_path / "gold.jsonl"
    path.write_text('{"id": "1", "question": "what?", "answerable": false}\n' + line + "\n")
    with pytest.raises(GoldError, match=message):
        load_gold(path)


def test_a_quote_may_hold_what_some_take_for_a_line_end(tmp_path):
    path = tmp_path / "gold.jsonl"
    evidence = {"document": "a.txt", "quote": "one\u2028two\x85three\x0cfour"}
    line = {"id": "1", "question": "what?", "answerable": True, "evidence": [evidence]}
    path.write_text(json.dumps(line, ensure_ascii=False))
    assert load_gold(path)[0].evidence[0].quote == evidence["quote"]


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
    ],
)
def test_quotes_that_cannot_be_placed(engine, tmp_path, evidence, message):
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps({"id": "q", "question": "what?", "answerable": True, "evidence": evidence}))
    with pytest.raises(GoldError, match=message):
        locate(load_gold(path), engine)


def test_a_quote_that_stands_twice_needs_a_start(engine):
    text = next(engine.document(info.id).text for info, _ in engine.documents() if info.path.startswith("004"))
    start = text.rindex("HMICFRS")
    question = GoldQuestion("q", "what?", True, ({"document": "004_cd7c5bba8cc9e53d.txt"},))
    from rag_qa.evaluation.gold import Evidence

    question = GoldQuestion("q", "what?", True, (Evidence("004_cd7c5bba8cc9e53d.txt", "HMICFRS", start),))
    (span,) = locate([question], engine)["q"]
    assert (span.start, span.end) == (start, start + 7)


@pytest.fixture
def collection(tmp_path):
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    texts = {
        "d1": "The harbour opens in March.",
        "d2": "Ships pay a fee of ten crowns.",
        "d 3/x": "Anna Berg was born.",
    }
    lines = [json.dumps({"_id": name, "title": "", "text": text}) for name, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "queries.jsonl").write_text(
        '{"_id": "q1", "text": "when does the harbour open"}\n{"_id": "q2", "text": "what do ships pay"}\n'
        '{"_id": "unjudged", "text": "who"}\n'
    )
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t2\nq2\td1\t0\n")
    return folder


def test_a_public_collection_end_to_end(collection, tmp_path, root, seeds_index, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(seeds_index / "encoder", index_folder(collection) / "encoder", copy_function=os.link)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "rag_qa", "eval", "--beir", str(collection), "--json"]
    for _ in range(2):  # the second time from the cached index
        result = subprocess.run(command, cwd=root, env=environ, capture_output=True, timeout=180, check=False)
        assert result.returncode == 0, result.stderr.decode()
        report = json.loads(result.stdout)
        assert report["metrics"]["ndcg@10"] == {"value": 1.0, "low": 1.0, "high": 1.0}
        assert [question["id"] for question in report["questions"]] == ["q1", "q2"]
    (snapshots,) = (tmp_path / "cache").rglob("snapshots")
    assert len(list(snapshots.iterdir())) == 1  # the second run wrote none


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}\n{"_id": "d1", "text": "y"}', "Line 2 of .* repeats the id “d1”"),
        ("corpus.jsonl", '{"_id": "d1"}', "Line 1 of .*corpus.jsonl is no record"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}\n{', "Line 2 of .*queries.jsonl"),
        ("qrels/test.tsv", "q1 d1 1\n", "names no relevant document"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq9\td1\t1\n", "judges the question “q9”"),
    ],
)
def test_broken_collections(collection, name, content, message):
    (collection / name).write_text(content)
    with pytest.raises(GoldError, match=message):
        load_collection(collection)


def test_eval_on_the_command_line(root, seeds_index):
    command = [sys.executable, "-m", "rag_qa", "eval", "--index", seeds_index]
    shown = subprocess.run([*command, "--verbose"], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert "hit@3" in shown.stdout
    assert "Which lawyer spoke for Liberty?" in shown.stdout
    told = subprocess.run([*command, "--json"], cwd=root, capture_output=True, timeout=60, check=True)
    report = json.loads(told.stdout)
    assert set(report["metrics"]["ndcg@10"]) == {"value", "low", "high"}
    assert report["snapshot"] == Engine.open(seeds_index).manifest.id
