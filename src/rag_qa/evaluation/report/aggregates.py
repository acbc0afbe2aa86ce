"""Reports: aggregates of the questions' measures, with the settings and versions that they were made with."""

import hashlib
import platform
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from rag_qa import __version__
from rag_qa.engine import Engine
from rag_qa.evaluation.names import TAGGED
from rag_qa.evaluation.results import Aggregate, Evaluation, QuestionResult, Report, TagResult
from rag_qa.evaluation.run.abstention import judge_abstention
from rag_qa.evaluation.statistics import aggregate, estimate
from rag_qa.settings import SCORE_SETTINGS, IndexSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["make_report"]

FEWEST = 10  # questions of a tag: an interval over fewer is too narrow to be trusted

LIBRARIES = ("faiss-cpu", "ir-measures", "numpy", "onnxruntime", "scipy", "sentence-transformers", "tantivy")
ANSWERING_SETTINGS = (*SCORE_SETTINGS, "highlights", "reranker", "exact_search")
"""Settings that change an answer without another index."""


def make_report(name: str, engine: Engine, evaluation: Evaluation) -> Report:
    """Returns the report of an evaluation of an engine.

    Args:
        name: the name of the collection.
        engine: the engine that answered.
        evaluation: the results of its answers.
    """
    settings, questions = structs.asdict(engine.settings), evaluation.questions
    return Report(
        collection=name,
        snapshot=engine.info.id,
        documents=_documents_digest(engine),
        settings={field: settings[field] for field in (*IndexSettings.__struct_fields__, *ANSWERING_SETTINGS)}
        | {"encoder_digest": engine.info.encoder.digest},
        versions={"rag_qa": __version__, "python": platform.python_version()}
        | {library: version(library) for library in LIBRARIES},
        counts={
            "documents": engine.info.counts.documents,
            "passages": engine.info.counts.passages,
            "questions": len(questions),
            "answerable": sum(question.answerable for question in questions),
        },
        metrics=_means(questions) | _latency(questions),
        tags=_by_tag(questions),
        abstention=judge_abstention(
            "confidence" if any(question.calibrated for question in questions) else "dense",
            [question.confidence for question in questions],
            [question.answered for question in questions],
            [question.right for question in questions],
        ),
        questions=questions,
    )


def _means(questions: Sequence[QuestionResult], names: Sequence[str] = ()) -> dict[str, Aggregate]:
    """Returns the means over the answerable questions, of all measures or of those named, where they exist."""
    answerable = [question.measures for question in questions if question.answerable]
    return {
        name: aggregate([measures[name] for measures in answerable])
        for name in names or answerable[0]
        if name in answerable[0]
    }


def _by_tag(questions: Sequence[QuestionResult]) -> dict[str, TagResult]:
    found: dict[str, TagResult] = {}
    for tag in sorted({tag for question in questions for tag in question.tags}):
        tagged = [question for question in questions if question.answerable and tag in question.tags]
        if len(tagged) >= FEWEST:
            found[tag] = TagResult(len(tagged), _means(tagged, TAGGED))
    return found


def _latency(questions: Sequence[QuestionResult]) -> dict[str, Aggregate]:
    values = [question.latency_ms for question in questions]
    found = {f"latency_p{share}": estimate(partial(_percentile, share), values) for share in (50, 95)}
    return {name: value for name, value in found.items() if value is not None}


def _percentile(share: int, values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    return np.percentile(values, share, axis=-1)


def _documents_digest(engine: Engine) -> str:
    """Returns a digest of the documents' paths and bytes, which does not depend on the settings."""
    digest = hashlib.sha256()
    for info, _ in engine.collection.documents():
        digest.update(f"{info.path}\0{info.sha256}\n".encode())
    return digest.hexdigest()[:16]
