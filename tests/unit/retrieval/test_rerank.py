from hypothesis import given
from hypothesis import strategies as st

from rag_qa.retrieval.rerank import BATCH, combined, score_in_time


class Stopwatch:
    """A clock, and a reranker that takes so long for each batch in turn; a text's score is its length in hundredths."""

    def __init__(self, *seconds: float) -> None:
        self.now = 100.0
        self.seconds = iter(seconds)
        self.batches: list[list[str]] = []

    def __call__(self) -> float:
        return self.now

    def scores(self, question, texts):
        self.now += next(self.seconds)
        self.batches.append(list(texts))
        return [len(text) / 100 for text in texts]


def reached(seconds: float, *batches: float) -> int:
    """How many of ten texts are scored."""
    watch = Stopwatch(*batches)
    texts = ["x" * i for i in range(10)]
    scores = score_in_time("", texts, watch, seconds, watch)
    count = len(scores) - scores.count(None)
    assert scores == [i / 100 for i in range(count)] + [None] * (10 - count)
    return count


def test_the_time_it_may_take():
    assert BATCH == 4
    assert reached(10, 1, 1, 1) == 10
    assert reached(3, 1, 1, 1) == 10  # the third batch ends just in time
    assert reached(2.9, 1, 1, 1) == 8
    assert reached(1.9, 1, 1, 1) == 4
    assert reached(0, 1, 1, 1) == 4
    assert reached(-1, 1, 1, 1) == 4
    assert reached(5, 1, 3, 1) == 8  # the second batch was slow: a third like it would be late
    assert reached(5, 2, 0.5, 1) == 10


def test_the_first_are_scored_first():
    watch = Stopwatch(1, 1)
    assert score_in_time("", ["a", "bb", "ccc", "dddd", "eeeee"], watch, 1, watch) == [0.01, 0.02, 0.03, 0.04, None]
    assert watch.batches == [["a", "bb", "ccc", "dddd"]]
    assert score_in_time("", [], watch, 1, watch) == []


shares = st.integers(0, 1_000_000).map(lambda millionths: millionths / 1_000_000)


@given(shares, shares, st.one_of(st.none(), st.floats(0, 1)))
def test_combined_scores(fused, other, reranked):
    better, worse = max(fused, other), min(fused, other)
    assert 0 <= combined(fused, reranked) <= 1
    assert (combined(better, None) > combined(worse, None)) == (better > worse)
    assert combined(better, reranked) >= combined(worse, None)  # what was reached is at least as good


def test_combined_score_by_hand():
    assert combined(0.5, 0.8) == 0.77
    assert combined(0.123457, None) == 0.0123457
    assert combined(1, 1) == 1
