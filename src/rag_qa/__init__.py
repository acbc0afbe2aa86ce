"""Ask a folder of documents; get ranked passages, each with a citation that anyone can check.

    from rag_qa import Engine, build

    build(["seeds"], "index")
    answer = Engine.open("index").ask("what did HMICFRS recommend?", k=3)

Names are imported when they are first used, so that `import rag_qa` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_qa.engine import Engine
    from rag_qa.errors import RagQaError
    from rag_qa.indexer.build import build
    from rag_qa.indexer.report import IndexReport
    from rag_qa.settings import IndexSettings, Settings, load_settings
    from rag_qa.types import Answer, Citation, Document, Highlight, Passage, RankedPassage

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Citation",
    "Document",
    "Engine",
    "Highlight",
    "IndexReport",
    "IndexSettings",
    "Passage",
    "RagQaError",
    "RankedPassage",
    "Settings",
    "build",
    "load_settings",
]

_HOMES = {
    "Engine": "engine",
    "IndexReport": "indexer.report",
    "IndexSettings": "settings",
    "RagQaError": "errors",
    "Settings": "settings",
    "build": "indexer.build",
    "load_settings": "settings",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in __all__:
        raise AttributeError(f"module 'rag_qa' has no attribute {name!r}")
    return getattr(import_module(f"rag_qa.{_HOMES.get(name, 'types')}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
