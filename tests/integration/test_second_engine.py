"""The seam can be implemented by somebody else: the engine in memory answers the gold as the local engine does."""

import json
from contextlib import closing

import pytest
from msgspec import structs
from support.memory_index import MemoryEngine

from rag_qa import Engine
from rag_qa.index.local.snapshot.previous import PreviousSnapshot
from rag_qa.settings import Settings


@pytest.fixture(scope="module")
def in_memory(seeds_index, tmp_path_factory):
    """The seeds in memory: documents and vectors as the local index has them."""
    memory = MemoryEngine(tmp_path_factory.mktemp("memory"))
    previous = PreviousSnapshot.open_current(seeds_index)
    with closing(previous.searcher), memory.open_writer(Settings(), lambda *_: None) as writer:
        for location in previous.table.each():
            document, vectors = previous.chunked(location)
            writer.add([document], [vectors])
        writer.commit(previous.table.files(), previous.searcher.info, keep=1)
    return memory


@pytest.mark.parametrize("changes", [{}, {"dense_weight": 0.3, "word_coverage": False}, {"sentence_scores": False}])
def test_the_engine_in_memory_answers_the_gold_as_the_local_one(root, seeds_index, in_memory, changes):
    lines = (root / "eval" / "gold.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    with Engine.open(seeds_index, Settings(exact_search=True, **changes)) as local:
        memory = Engine(in_memory.open_index(lambda index: index), local.searcher.encoder, local.settings)
        for question in questions:
            found, expected = memory.ask(question, k=8), local.ask(question, k=8)
            assert len(found.passages) == 8
            for one, other in zip(found.passages, expected.passages, strict=True):
                assert one.score == pytest.approx(other.score, abs=1.1e-6)  # BM25 has single precision in tantivy
                assert one.scores.dense == pytest.approx(other.scores.dense, abs=1e-6)
                assert one.scores.lexical == pytest.approx(other.scores.lexical, abs=1e-5)
                assert structs.replace(one, score=0, scores=None) == structs.replace(other, score=0, scores=None)
            assert (found.answered, found.confidence, found.expansions) == (
                expected.answered,
                expected.confidence,
                expected.expansions,
            )
