"""Run and qrels files in TREC's format, for other tools."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag_qa.evaluation.results import Evaluation

__all__ = ["write_trec"]

TAG = "rag_qa"
STEP = 1e-6  # difference given to equal scores, which tools would order by name; trec_eval reads single precision


def write_trec(name: str, evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Writes NAME.run and NAME.qrels, and returns their paths.

    An item is a document of a BEIR collection, otherwise `document:start-end` of a passage. White space and percent
    signs in names are percent-encoded. Scores are the fused scores; equal ones are made to fall by a millionth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.-]+", "_", name.removesuffix(".jsonl")).strip("_") or "eval"
    run, qrels = folder / f"{name}.run", folder / f"{name}.qrels"
    run.write_text(
        "".join(
            f"{_token(question)} Q0 {_token(item)} {rank} {score:.6f} {TAG}\n"
            for question, items in evaluation.run.items()
            for rank, (item, score) in enumerate(_falling(items), start=1)
        ),
        "utf-8",
    )
    qrels.write_text(
        "".join(
            f"{_token(question)} 0 {_token(item)} {grade}\n"
            for question, items in evaluation.qrels.items()
            for item, grade in items.items()
        ),
        "utf-8",
    )
    return run, qrels


def _falling(items: Sequence[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Yields the items with strictly falling scores."""
    last = float("inf")
    for item, score in items:
        last = min(score, last - STEP)
        yield item, last


def _token(name: str) -> str:
    """Percent-encodes white space and percent signs of a name."""
    return re.sub(r"[\s%]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
