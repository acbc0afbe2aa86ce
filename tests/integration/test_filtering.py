"""Questions with filters, through the engine and the search structures."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.structures import built_lexical, built_vectors

from rag_qa import Engine
from rag_qa.errors import QuestionError
from rag_qa.filters import Filters
from rag_qa.indexer.build import build
from rag_qa.settings import Settings
from rag_qa.text.analysis import analyze

ROWS = 300

WORDS = ["harbour", "ship", "fee", "crown", "pilot", "ice"]


@pytest.fixture(scope="module")
def structures(tmp_path_factory):
    random = np.random.default_rng(7)
    vectors = random.standard_normal((ROWS, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [" ".join(random.choice(WORDS, size=random.integers(1, 9))) for _ in range(ROWS)]
    folder = tmp_path_factory.mktemp("lexical")
    return built_vectors(folder / "vectors", vectors), built_lexical(folder / "words", texts), vectors


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_filtered_search_is_full_search_without_the_rest(structures, data):
    dense, lexical, vectors = structures
    share = data.draw(st.sampled_from([0.0, 0.004, 0.02, 0.3, 0.9, 1.0]))
    seed = data.draw(st.integers(0, 2**32 - 1))
    depth = data.draw(st.integers(1, 50))
    allowed = np.random.default_rng(seed).random(ROWS) < share
    allowed[seed % ROWS] = True
    question = " ".join(data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)))
    for found, everything in (
        (dense.search(vectors[3], depth, allowed), dense.search(vectors[3], ROWS)),
        (lexical.search(Counter(analyze(question)), depth, allowed), lexical.search(Counter(analyze(question)), ROWS)),
    ):
        expected = [(row, score) for row, score in everything.items() if allowed[row]][:depth]
        assert list(found) == [row for row, _ in expected]
        assert list(found.values()) == pytest.approx([score for _, score in expected], abs=1e-5)


@pytest.fixture(scope="module")
def harbours(seeds_index, tmp_path_factory) -> Engine:
    """Sixty records, of which each has one of sixty numbers."""
    folder = tmp_path_factory.mktemp("harbours")
    lines = [f'{{"text": "The harbour number {n} opens in March.", "number": {n}}}' for n in range(60)]
    (folder / "in").mkdir()
    (folder / "in" / "feed.jsonl").write_text("\n".join(lines))
    (folder / "index").mkdir()
    (folder / "index" / "encoder").symlink_to(seeds_index / "encoder")
    build([folder / "in"], folder / "index")
    with Engine.open(folder / "index", Settings(depth=3)) as engine:
        yield engine


def test_k_results_whenever_there_are_k(harbours):
    assert len(harbours.ask("harbour", k=20).passages) == 20
    answer = harbours.ask("when does the harbour open?", k=20, filters=Filters(document="feed.jsonl#1*"))
    assert {passage.citation.record for passage in answer.passages} == {1, *range(10, 20)}
    assert len(answer.passages) == 11
    (only,) = harbours.ask("when?", filters=Filters(metadata={"number": 42})).passages
    assert only.text == "The harbour number 42 opens in March."


def test_filters_that_leave_out_all_give_no_passages(harbours):
    answer = harbours.ask("when?", filters=Filters(format="pdf"))
    assert (answer.answered, answer.passages) == (False, [])


def test_no_filter_is_the_same_as_an_empty_one(harbours):
    def told(answer):
        return [(passage.text, passage.score) for passage in answer.passages]

    assert told(harbours.ask("when?", filters=Filters())) == told(harbours.ask("when?"))


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("?", {}),
        ("what?", {"k": 101}),
        ("what?", {"max_tokens": -1}),
        ("what?", {"filters": Filters(date_from="2024", date_to="2023")}),
        ("what?", {"filters": Filters(document=" ")}),
        ("what?", {"filters": Filters(metadata={"client": "ACME"})}),
    ],
)
def test_checking_says_what_asking_would(engine, question, options):
    with pytest.raises(QuestionError) as asked:
        engine.ask(question, **options)
    with pytest.raises(QuestionError) as checked:
        engine.check(question, **options)
    assert str(checked.value) == str(asked.value)
    engine.check("what?", 100, 1, Filters(document="none/"))
