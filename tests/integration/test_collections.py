import json

import pytest
from support.indexes import link_encoder

from rag_qa.errors import GoldError
from rag_qa.evaluation.gold.beir import load_collection
from rag_qa.evaluation.run.subjects import index_folder


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


def test_a_public_collection_end_to_end(collection, tmp_path, seeds_index, monkeypatch, rag_qa_main):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    link_encoder(seeds_index, index_folder(collection))
    for _ in range(2):  # the second time from the cached index
        code, told, errors = rag_qa_main("eval", "--beir", collection, "--json")
        assert code == 0, errors
        report = json.loads(told)
        assert report["metrics"]["ndcg@10"] == {"value": 1.0, "low": 1.0, "high": 1.0}
        assert [question["id"] for question in report["questions"]] == ["q1", "q2"]
    (snapshots,) = (tmp_path / "cache").rglob("snapshots")
    assert len(list(snapshots.iterdir())) == 1  # the second run wrote none


def test_byte_order_marks_are_passed_over(collection):
    expected = load_collection(collection)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        path = collection / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = load_collection(collection)
    assert (found.questions, found.relevant) == (expected.questions, expected.relevant)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}\n{"_id": "d1", "text": "y"}', "Line 2 of .* repeats the id “d1”"),
        ("corpus.jsonl", '{"_id": "d1"}', "Line 1 of .*corpus.jsonl is no record"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}\n{', "Line 2 of .*queries.jsonl"),
        ("qrels/test.tsv", "q1 d1 1\n", "names no relevant document"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1.5\n", "Line 2 .* is not of the form"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td1\t2\n", "Line 3 .* once more"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}\n{"_id": "q1", "text": "y"}', "Line 2 .* repeats the id “q1”"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq9\td1\t1\n", "Line 3 .* judges the question “q9”"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td7\t1\n", "Line 2 .* judges the document “d7”"),
    ],
)
def test_broken_collections(collection, name, content, message):
    (collection / name).write_text(content)
    with pytest.raises(GoldError, match=message):
        load_collection(collection)


@pytest.fixture
def gold_collection(tmp_path):
    folder = tmp_path / "harbour"
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / "a.txt").write_text("The harbour opens in March. Ships pay a fee of ten crowns.")
    (folder / "documents" / "empty.txt").write_text("")
    evidence = [{"document": "a.txt", "quote": "ten crowns"}]
    question = {"id": "h1", "question": "what do ships pay?", "answerable": True, "evidence": evidence}
    (folder / "gold.jsonl").write_text(json.dumps(question))
    return folder


def test_several_collections_and_gold_in_one_table(
    collection, gold_collection, seeds_index, root, tmp_path, monkeypatch, rag_qa_main
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in (collection, gold_collection):
        link_encoder(seeds_index, index_folder(folder))
    given = ["--collection", collection, "--collection", gold_collection]
    given += ["--gold", root / "eval" / "gold.jsonl", "--index", seeds_index]
    code, shown, told = rag_qa_main("eval", *given, "--trec", tmp_path / "trec")
    assert code == 0
    (header,) = [line for line in shown.splitlines() if line.split()[:3] == ["measure", "tiny", "harbour"]]
    assert header.split()[-1].endswith("eval")
    assert "empty.txt" in told  # what gave no document is said
    (row,) = [line for line in shown.splitlines() if line.split()[:1] == ["ndcg@10"]]
    assert row.count("–") == 3
    assert len(list((tmp_path / "trec").iterdir())) == 6
    code, told, _ = rag_qa_main("eval", *given[:4], "--json")
    reports = json.loads(told)["collections"]
    assert [each["collection"] for each in reports] == ["tiny", "harbour"]
    assert reports[1]["metrics"]["char_recall@5"]["value"] == 1.0


def test_a_folder_that_is_no_collection(tmp_path, rag_qa_main):
    code, _, told = rag_qa_main("eval", "--collection", tmp_path)
    assert code == 2
    assert "is no collection: it needs corpus.jsonl" in told
