"""Measures the time of indexing by stage, for the first documents of a public collection.

    python benchmarks/stages.py BEIR [--documents 500] [--exact] [--json FILE]

Each stage has the seconds that passed in it; chunking runs in another thread, beside the other stages. The encoder is
loaded and exported before, with one document.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from recording import record, table

from rag_qa import Settings, build
from rag_qa.index.local.segment.docstore import StoreWriter
from rag_qa.index.local.segment.inverted import InvertedIndexWriter
from rag_qa.index.local.segment.segment import SegmentWriter
from rag_qa.index.local.segment.sentence_vectors import SentenceWriter
from rag_qa.index.local.segment.signatures import SignatureWriter
from rag_qa.index.local.segment.term_sets import TermWriter
from rag_qa.index.local.segment.vectors import VectorWriter
from rag_qa.index.local.snapshot import transaction
from rag_qa.indexer.vector_cache import VectorCache
from rag_qa.ingest import chunk_ahead
from rag_qa.ingest.chunker import Chunker
from rag_qa.models.onnx_encoder import OnnxEncoder

STAGES: dict[str, list[tuple[Any, str]]] = {
    "chunking, beside": [(Chunker, "chunk")],
    "acronyms, beside": [(chunk_ahead, "find_mentions")],
    "encoding": [(OnnxEncoder, "encode_passages")],
    "cache of vectors": [(VectorCache, "find"), (VectorCache, "put"), (VectorCache, "commit")],
    "documents": [(StoreWriter, "add")],
    "vectors": [(VectorWriter, "add"), (SentenceWriter, "add")],
    "signatures": [(SignatureWriter, "add")],
    "words": [(InvertedIndexWriter, "add")],
    "terms": [(TermWriter, "add")],
    "sealing, with the graph": [(SegmentWriter, "seal")],
    "committing": [(transaction, "commit_snapshot")],
}


def timed(function: Callable[..., Any], taken: dict[str, float], stage: str) -> Callable[..., Any]:
    """Wraps a function so that the seconds of each call are added to those of the stage."""

    @wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        started = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            taken[stage] += time.perf_counter() - started

    return wrapper


def main() -> None:
    """Indexes the documents, and prints a row for each stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beir", type=Path)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    settings = Settings(precision="float32" if given.exact else "auto")
    lines = (given.beir / "corpus.jsonl").read_text("utf-8").splitlines(keepends=True)
    with tempfile.TemporaryDirectory() as temporary:
        feed, index = Path(temporary, "feed.jsonl"), Path(temporary, "index")
        feed.write_text(lines[0], "utf-8")
        build([feed], index, settings)
        taken = dict.fromkeys(STAGES, 0.0)
        for stage, functions in STAGES.items():
            for owner, name in functions:
                setattr(owner, name, timed(getattr(owner, name), taken, stage))
        feed.write_text("".join(lines[: given.documents]), "utf-8")
        report = build([feed], index, settings)
    rest = report.seconds - sum(seconds for stage, seconds in taken.items() if "beside" not in stage)
    rows = [
        {"stage": stage, "seconds": seconds, "share": seconds / report.seconds}
        for stage, seconds in [*taken.items(), ("the rest", rest), ("the whole", report.seconds)]
    ]
    table(rows)
    print(
        f"{report.documents} documents, {report.passages.total} passages, {report.tokens} tokens: "
        f"{report.documents / report.seconds:.1f} documents, {report.tokens / report.seconds:.0f} tokens a second"
    )
    if given.json:
        record(given.json, rows)


if __name__ == "__main__":
    main()
