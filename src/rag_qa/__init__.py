"""Ask a folder of documents; get ranked passages, each with a citation that anyone can check.

    from rag_qa import Engine, build

    build(["seeds"], "index")
    answer = Engine.open("index").ask("what did HMICFRS recommend?", k=3)

Names are imported when they are first used, so that `import rag_qa` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_qa.answering.references import Reference
    from rag_qa.answering.verification import Verification
    from rag_qa.engine import Engine
    from rag_qa.errors import (
        BusyError,
        ConflictError,
        EncoderError,
        GoldError,
        IndexDamagedError,
        IndexMismatchError,
        IndexMissingError,
        InputError,
        NotFoundError,
        QuestionError,
        RagQaError,
        RerankerError,
        SettingsError,
        SnapshotError,
        UnknownFieldError,
        WorkerError,
        WriteError,
    )
    from rag_qa.filters import Filters
    from rag_qa.indexer.build import build
    from rag_qa.indexer.report import IndexReport
    from rag_qa.models.protocols import QueryEncoder, Reranker
    from rag_qa.settings import IndexSettings, Settings, load_settings
    from rag_qa.types import (
        Answer,
        Citation,
        Document,
        DocumentInfo,
        Expansion,
        FailedFile,
        Highlight,
        Part,
        Passage,
        RankedPassage,
        Scores,
        Timings,
    )

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "BusyError",
    "Citation",
    "ConflictError",
    "Document",
    "DocumentInfo",
    "EncoderError",
    "Engine",
    "Expansion",
    "FailedFile",
    "Filters",
    "GoldError",
    "Highlight",
    "IndexDamagedError",
    "IndexMismatchError",
    "IndexMissingError",
    "IndexReport",
    "IndexSettings",
    "InputError",
    "NotFoundError",
    "Part",
    "Passage",
    "QueryEncoder",
    "QuestionError",
    "RagQaError",
    "RankedPassage",
    "Reference",
    "Reranker",
    "RerankerError",
    "Scores",
    "Settings",
    "SettingsError",
    "SnapshotError",
    "Timings",
    "UnknownFieldError",
    "Verification",
    "WorkerError",
    "WriteError",
    "build",
    "load_settings",
]

_HOMES = {
    "Engine": "engine",
    "Filters": "filters",
    "IndexReport": "indexer.report",
    "IndexSettings": "settings",
    "QueryEncoder": "models.protocols",
    "Reference": "answering.references",
    "Reranker": "models.protocols",
    "Settings": "settings",
    "Verification": "answering.verification",
    "build": "indexer.build",
    "load_settings": "settings",
}
"""Modules of the names that are neither errors nor in types.py."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in __all__:
        raise AttributeError(f"module 'rag_qa' has no attribute {name!r}")
    home = _HOMES.get(name, "errors" if name.endswith("Error") else "types")
    return getattr(import_module(f"rag_qa.{home}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
