import json

import pytest
from support.indexes import copy_index

from rag_qa import Engine
from rag_qa.evaluation.compare.ablation import FOLDER, Variant, ablate, variants
from rag_qa.evaluation.gold.gold_file import load_gold
from rag_qa.evaluation.run.subjects import gold_subject
from rag_qa.evaluation.statistics import adjusted
from rag_qa.retrieval.query import read_query
from rag_qa.retrieval.retriever import search


@pytest.fixture(scope="module")
def ablated(root, seeds_index, tmp_path_factory):
    """Two variants of the seeds, one of them with an index of its own."""
    index = copy_index(seeds_index, tmp_path_factory.mktemp("ablation") / "index")
    chosen = [
        Variant("search", "dense only", {"dense_weight": 1.0}),
        Variant("passages", "100 tokens", {"passage_tokens": 100}, reindexed=True),
    ]
    with Engine.open(index) as engine:
        subject = gold_subject("gold", load_gold(root / "eval" / "gold.jsonl"), engine)
        yield index, *ablate(subject, chosen, lambda *_: None)


def test_every_variant_is_compared_with_the_default(ablated, report):
    _, evaluation, ablation = ablated
    default, dense, small = ablation.rows
    assert default.against == {}
    assert [each.measures for each in evaluation.questions] == [each.measures for each in report.questions]
    assert default.figures["ndcg@10"] == report.metrics["ndcg@10"]
    assert dense.against["ndcg@10"].difference.value == pytest.approx(
        dense.figures["ndcg@10"].value - default.figures["ndcg@10"].value
    )
    assert small.against["char_iou@5"].verdict == "better"  # smaller passages hold less that is not evidence
    assert small.against["marked_share"].verdict == "worse"
    assert all(row.figures["latency_ms"].value > 0 for row in ablation.rows)


def test_an_index_of_a_variant_is_kept_and_does_not_touch_the_one_that_answers(ablated):
    index, _, _ = ablated
    with Engine.open(index / FOLDER / "passage_tokens-100") as small, Engine.open(index) as engine:
        assert small.info.settings.passage_tokens == 100
        assert engine.info.settings.passage_tokens == 140
        assert small.info.counts.documents == engine.info.counts.documents
    assert not (index / FOLDER / "passage_tokens-100" / "cache").exists()  # it shares that of its index


def test_documents_that_are_there_again_are_taken_over(ablated, root):
    """The second time, nothing is cut or encoded."""
    index, _, first = ablated
    chosen = [Variant("passages", "100 tokens", {"passage_tokens": 100}, reindexed=True)]
    stages = []
    with Engine.open(index) as engine:
        subject = gold_subject("gold", load_gold(root / "eval" / "gold.jsonl"), engine)
        _, again = ablate(subject, chosen, lambda stage, *_: stages.append(stage))
    assert "encoding" not in stages
    assert again.rows[1].figures["ndcg@10"] == first.rows[2].figures["ndcg@10"]


def test_the_tests_of_latency_lend_no_significance_to_those_of_quality(ablated):
    _, _, ablation = ablated
    rows = [row for row in ablation.rows if row.against]
    quality = [each for row in rows for name, each in row.against.items() if name != "latency_ms"]
    assert [each.p for each in quality] == pytest.approx(adjusted([each.difference.p for each in quality]))
    latency = [row.against["latency_ms"] for row in rows]
    assert [each.p for each in latency] == pytest.approx(adjusted([each.difference.p for each in latency]))


def test_variants_leave_out_what_is_the_default(engine):
    named = {variant.name for variant in variants(engine)}
    assert {"dense only", "lexical only", "dense weight 0.4", "passage vectors only", "words only"} <= named
    with_point_four = {variant.name for variant in variants(engine.with_settings(dense_weight=0.4))}
    assert "dense weight 0.4" not in with_point_four
    assert "exact search" not in named  # there is no graph
    assert "300 tokens" not in named  # more than the encoder reads
    assert "dense weight 0.6" in with_point_four


def test_switches_switch_stages_off(engine):
    question = "Which hashtag stands for protecting every survivor?"

    def hits(**changes):
        searcher = engine.with_settings(**changes).searcher
        return search(read_query(question, searcher), 100, None, searcher).hits

    dense = hits(dense_weight=1.0)
    assert {hit.bm25 for hit in dense} == {0.0}
    assert [hit.row for hit in dense] == sorted(
        (hit.row for hit in dense), key=lambda row: -next(each.dense for each in dense if each.row == row)
    )
    words = hits(dense_weight=0.0)
    assert 0 < len(words) < len(dense)  # only passages that share a word
    assert all(hit.bm25 > 0 for hit in words)
    bm25 = hits(dense_weight=0.0, word_coverage=False)
    assert [hit.bm25 for hit in bm25] == sorted((hit.bm25 for hit in bm25), reverse=True)
    whole = hits(sentence_scores=False)
    both = {hit.row: hit.dense for hit in hits()}
    assert all(both[hit.row] >= hit.dense for hit in whole)
    assert any(both[hit.row] > hit.dense for hit in whole)


def test_ablation_on_the_command_line(index_copy, few_gold, tmp_path, rag_qa_main):
    given = ["eval", "--index", index_copy, "--gold", few_gold, "--ablate", "--stage", "sentences"]
    code, shown, _ = rag_qa_main(*given, "--html", tmp_path / "page.html")
    assert code == 0
    assert "passage vectors only" in shown
    assert "What each stage is worth" in (tmp_path / "page.html").read_text()
    told = json.loads(rag_qa_main(*given, "--json")[1])
    assert [row["variant"]["name"] for row in told["ablation"]["rows"]] == ["as it is", "passage vectors only"]
    code, _, told = rag_qa_main("eval", "--index", index_copy, "--ablate", "--stage", "fame")
    assert code == 2
    assert "no stage “fame”" in told
