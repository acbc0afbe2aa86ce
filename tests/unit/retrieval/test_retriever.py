"""Rankings of collections that can be searched by hand, with vectors that say nothing where words are to count."""

import pytest
from support.searchers import searcher_of
from support.small_collections import make_document

from rag_qa.filters import Filters
from rag_qa.retrieval.fusion import Hit
from rag_qa.retrieval.query import read_query
from rag_qa.retrieval.retriever import Result, in_order, retrieve, search

APART = [make_document("a.txt", [["Harbour."], ["Fee."]]), make_document("b.txt", [["Harbour fee."]])]


def by_words(documents, **settings):
    return searcher_of(documents, **{"dense_weight": 0.0} | settings)


def ranked(question, searcher, depth=100, **options):
    hits = search(read_query(question, searcher), depth, options.pop("filters", None), searcher, **options).hits
    return [(hit.row, hit.score) for hit in hits]


def paths(results):
    return [result.document.path for result in results]


def test_words_of_the_neighbours_count_and_equal_scores_are_in_order():
    # each term stands in two of three passages: .4 for the own share, .6 for that with the neighbours
    assert ranked("harbour fee", by_words(APART)) == [(2, 1.0), (0, 0.8), (1, 0.8)]


def test_bm25_counts_where_coverage_does_not():
    found = ranked("harbour fee", by_words(APART, word_coverage=False))
    assert [row for row, _ in found] == [2, 0, 1]
    assert 0 < found[1][1] < found[0][1] < 1


def test_vectors_alone_find_the_text_that_is_asked_for():
    searcher = searcher_of(APART, dense_weight=1.0)
    (row, score), *others = ranked("Harbour fee.", searcher)
    assert (row, score) == (2, pytest.approx(1, abs=0.001))  # half precision
    assert all(score < 0.999 for _, score in others)


def test_a_passage_is_as_near_as_its_nearest_sentence_where_that_is_set():
    documents = [make_document("a.txt", [["Harbour.", "Fee."]])]
    (sentence,) = ranked("Fee.", searcher_of(documents, dense_weight=1.0))
    assert sentence == (0, pytest.approx(1, abs=0.001))
    (whole,) = ranked("Fee.", searcher_of(documents, dense_weight=1.0, sentence_scores=False))
    assert whole[1] < 0.999


def test_what_is_left_out_or_filtered_is_not_found():
    searcher = by_words(APART)
    assert ranked("harbour fee", searcher, without=(2,)) == [(0, 0.8), (1, 0.8)]
    assert ranked("harbour fee", searcher, filters=Filters(document="b.txt")) == [(2, 1.0)]
    assert ranked("lighthouse", searcher) == []
    assert retrieve(read_query("lighthouse", searcher), None, 5, searcher).fused == ()


SAME = [make_document(f"{number}.txt", [["The harbour fee is ten crowns."]]) for number in range(6)]
OTHER = make_document("z.txt", [["The harbour is closed."]])


def test_duplicates_are_one_result_with_all_its_places():
    searcher = by_words([*SAME, OTHER])
    first, second = retrieve(read_query("harbour fee", searcher), None, 5, searcher).ranked
    assert paths([first, second]) == ["0.txt", "z.txt"]
    assert first.spans == [(f"{number}.txt", 0, 30) for number in range(6)]
    assert second.spans == [("z.txt", 0, 22)]


def test_the_search_goes_deeper_until_there_are_enough_different_results():
    searcher = by_words([*SAME, OTHER], depth=2)
    found = retrieve(read_query("harbour fee", searcher), None, 2, searcher)
    assert paths(found.ranked) == ["0.txt", "z.txt"]
    assert len(found.ranked[0].duplicates) == 5


def test_duplicates_are_apart_where_that_is_set():
    searcher = by_words([*SAME, OTHER], collapse_duplicates=False, variety=False)
    found = retrieve(read_query("harbour fee", searcher), None, 3, searcher)
    assert paths(found.ranked) == ["0.txt", "1.txt", "2.txt"]


class Likes:
    """A reranker that is never asked here: it only says that there is one."""

    def scores(self, question, texts):
        raise AssertionError


@pytest.mark.parametrize(("reranker", "count"), [(None, 2), (Likes(), 4)])
def test_as_many_results_as_the_reranker_looks_at(reranker, count):
    documents = [make_document(f"{number}.txt", [[f"Harbour number {number}."]]) for number in range(9)]
    searcher = by_words(documents, reranker=reranker, rerank_depth=4)
    assert len(retrieve(read_query("harbour", searcher), None, 2, searcher).fused) == count


LONG = "the fee for each night in the harbour is ten crowns for a ship and two crowns for a boat"
NEAR = [
    make_document("a.txt", [[f"{LONG} in winter."]]),
    make_document("b.txt", [[f"{LONG} in summer."]]),
    make_document("c.txt", [["The lighthouse was built by a pilot."]]),
]


def in_turn(question, scores, **settings):
    """Rows in the order in which passages with these scores are shown, and how many are near copies."""
    searcher = by_words(NEAR, **settings)
    rows = searcher.index.passages(range(len(NEAR)))
    results = [Result(Hit(row, score, 0.0, 0.0), *rows[row]) for row, score in enumerate(scores)]
    ordered, copies = in_order(results, read_query(question, searcher), searcher)
    return [result.hit.row for result in ordered], copies


def test_a_near_copy_gives_way_to_what_adds_something_but_not_to_what_is_much_worse():
    assert in_turn("harbour", [0.8, 0.9, 0.6]) == ([1, 2, 0], 1)
    assert in_turn("harbour", [0.8, 0.9, 0.1]) == ([1, 0, 2], 1)


def test_a_near_copy_stays_where_all_is_asked_for_or_that_is_set():
    assert in_turn("list all harbours", [0.8, 0.9, 0.6]) == ([1, 0, 2], 0)
    assert in_turn("harbour", [0.8, 0.9, 0.6], variety=False) == ([1, 0, 2], 0)


def test_more_is_looked_at_where_near_copies_crowd_the_results():
    copies = [make_document(f"{number}.txt", [[f"{LONG} in year {number}."]]) for number in range(4)]
    searcher = by_words([*copies, make_document("z.txt", [["Each boat in the harbour has a pilot."]])])
    found = retrieve(read_query("the fee in the harbour", searcher), None, 2, searcher)
    assert paths(found.fused)[:2] == ["0.txt", "1.txt"]
    assert "z.txt" in paths(found.ranked)
    assert {*paths(found.ranked)} == {*paths(found.fused)}
