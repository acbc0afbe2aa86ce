"""Run and qrels files as other tools read them."""

import pytest

from rag_qa.evaluation.report.trec import write_trec
from rag_qa.evaluation.results import Evaluation


def test_equal_scores_keep_their_order_and_names_have_no_white_space(tmp_path):
    ranked = [("b c", 0.5), ("a", 0.5), ("Ä|1%", 0.499999), ("e", 0.2)]
    run, qrels = write_trec("x", Evaluation([], {"q 1": {"b c": 2}}, {"q 1": ranked}), tmp_path)
    rows = [line.split(" ") for line in run.read_text().splitlines()]
    assert [row[2] for row in rows] == ["b%20c", "a", "Ä|1%25", "e"]
    scores = [float(row[4]) for row in rows]
    assert scores == sorted(set(scores), reverse=True)
    assert qrels.read_text() == "q%201 0 b%20c 2\n"


@pytest.mark.parametrize(
    ("name", "stem"),
    [("eval/gold.jsonl", "eval_gold"), ("nfcorpus", "nfcorpus"), ("../a b", ".._a_b"), ("???", "eval")],
)
def test_the_name_of_a_collection_becomes_that_of_its_files(tmp_path, name, stem):
    run, qrels = write_trec(name, Evaluation([], {}, {}), tmp_path / "runs")
    assert (run.name, qrels.name) == (f"{stem}.run", f"{stem}.qrels")
    assert (run.read_text(), qrels.read_text()) == ("", "")


def test_a_row_for_each_item_with_its_rank(tmp_path):
    ranked = {"q": [("a.txt:0-9", 0.75), ("b.txt:3-7", 0.5)], "none": []}
    run, qrels = write_trec("x", Evaluation([], {"q": {"b.txt:3-7": 1}, "none": {"c": 1}}, ranked), tmp_path)
    assert run.read_text() == "q Q0 a.txt:0-9 1 0.750000 rag_qa\nq Q0 b.txt:3-7 2 0.500000 rag_qa\n"
    assert qrels.read_text() == "q 0 b.txt:3-7 1\nnone 0 c 1\n"
