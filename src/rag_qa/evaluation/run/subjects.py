"""Subjects of an evaluation: gold about an index, or a public collection with an index in the user's cache folder."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import platformdirs
from msgspec import Struct

from rag_qa.engine import Engine
from rag_qa.errors import GoldError
from rag_qa.evaluation.gold.beir import load_collection
from rag_qa.evaluation.gold.gold_file import GoldQuestion, load_gold, locate
from rag_qa.evaluation.results import Evaluation
from rag_qa.evaluation.run.evaluate import ask_in_turns, evaluate_collection, evaluate_gold
from rag_qa.indexer.build import Progress, build, index_documents
from rag_qa.settings import Settings
from rag_qa.types import Answer

__all__ = ["Subject", "check_folder", "gold_subject", "index_folder", "judges_documents", "open_collection"]

CORPUS, DOCUMENTS, GOLD = "corpus.jsonl", "documents", "gold.jsonl"


class Subject(Struct, frozen=True):
    """Questions by id, the engine that answers them, and the function that judges the answers."""

    name: str
    questions: dict[str, str]
    engine: Engine
    judge: Callable[[Engine, Mapping[str, Answer], Progress], Evaluation]
    gold: Sequence[GoldQuestion] = ()
    """Gold questions with their evidence; empty for a collection that judges whole documents."""

    def evaluate(self, progress: Progress) -> Evaluation:
        """Asks all questions and judges the answers."""
        (answers,) = ask_in_turns({self.name: self.engine}, self.questions, progress).values()
        return self.judge(self.engine, answers, progress)


def gold_subject(name: str, questions: Sequence[GoldQuestion], engine: Engine) -> Subject:
    """Returns gold questions about an index as a subject.

    Raises:
        GoldError: a quote is not in its document.
    """
    locate(questions, engine)  # raises before anything is asked
    texts = {question.id: question.question for question in questions}
    return Subject(name, texts, engine, partial(evaluate_gold, questions), questions)


def open_collection(folder: Path, settings: Settings, progress: Progress) -> Subject:
    """Opens a collection: a BEIR folder (corpus.jsonl), or a folder with documents/ and gold.jsonl.

    Its index is built the first time, and kept in the user's cache folder.

    Raises:
        GoldError: the folder is no collection, or a file in it cannot be used.
    """
    name, index = folder.resolve().name, index_folder(folder)
    check_folder(folder)
    if judges_documents(folder):
        collection = load_collection(folder)
        index_documents(collection.documents, index, settings, progress)
        return Subject(
            name, collection.questions, Engine.open(index, settings), partial(evaluate_collection, collection)
        )
    questions = load_gold(folder / GOLD)
    build([folder / DOCUMENTS], index, settings, progress)
    return gold_subject(name, questions, Engine.open(index, settings))


def check_folder(folder: Path) -> None:
    """Raises an error if a folder has neither form of a collection.

    Raises:
        GoldError: the folder is no collection.
    """
    if not (folder / CORPUS).is_file() and not ((folder / DOCUMENTS).is_dir() and (folder / GOLD).is_file()):
        raise GoldError(
            f"“{folder}” is no collection: it needs {CORPUS} (the form of BEIR), or {DOCUMENTS}/ and {GOLD}."
        )


def judges_documents(folder: Path) -> bool:
    """Returns whether a collection has the form of BEIR, which judges documents and has no quotes."""
    return (folder / CORPUS).is_file()


def index_folder(folder: Path) -> Path:
    """Returns the folder in the user's cache that holds the index of a collection."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    return Path(platformdirs.user_cache_dir("rag_qa")) / "collections" / f"{folder.resolve().name}-{digest}"
