"""What is evaluated: gold questions about an index, or a public collection with an index in the user's cache folder."""

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
    """A name, questions by id, the opened index, and how an engine's answers to them are judged."""

    name: str
    questions: dict[str, str]
    engine: Engine
    judge: Callable[[Engine, Mapping[str, Answer], Progress], Evaluation]
    gold: Sequence[GoldQuestion] = ()
    """The questions with their evidence; empty for a collection that judges whole documents."""

    def evaluate(self, progress: Progress) -> Evaluation:
        """Asks all questions, and judges the answers."""
        (answers,) = ask_in_turns({self.name: self.engine}, self.questions, progress).values()
        return self.judge(self.engine, answers, progress)


def gold_subject(name: str, questions: Sequence[GoldQuestion], engine: Engine) -> Subject:
    """Gold questions about the documents of an index.

    Raises:
        GoldError: a quote cannot be found in the indexed documents.
    """
    locate(questions, engine)  # before anything is asked
    texts = {question.id: question.question for question in questions}
    return Subject(name, texts, engine, partial(evaluate_gold, questions), questions)


def open_collection(folder: Path, settings: Settings, progress: Progress) -> Subject:
    """A public collection: a BEIR folder (corpus.jsonl), or a folder with documents/ and gold.jsonl.

    Its index is made when it is evaluated first, and kept.

    Raises:
        GoldError: the folder is neither, or what is in it cannot be used.
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
    """Sees that a folder is in one of the forms of a collection.

    Raises:
        GoldError: it is not.
    """
    if not (folder / CORPUS).is_file() and not ((folder / DOCUMENTS).is_dir() and (folder / GOLD).is_file()):
        raise GoldError(
            f"“{folder}” is no collection: it needs {CORPUS} (the form of BEIR), or {DOCUMENTS}/ and {GOLD}."
        )


def judges_documents(folder: Path) -> bool:
    """Whether a collection is in the form of BEIR, which judges documents and has no quotes."""
    return (folder / CORPUS).is_file()


def index_folder(folder: Path) -> Path:
    """Where the index of a collection is kept."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    return Path(platformdirs.user_cache_dir("rag_qa")) / "collections" / f"{folder.resolve().name}-{digest}"
