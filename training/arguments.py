"""Command line of the training scripts: opens the collections, and tells which of them are trained on."""

import argparse
from pathlib import Path

from msgspec import Struct

from rag_qa.engine import Engine
from rag_qa.evaluation.gold.gold_file import load_gold
from rag_qa.evaluation.run.subjects import Subject, gold_subject, open_collection
from rag_qa.settings import Settings

__all__ = ["Arguments", "read_arguments", "silent"]


class Arguments(Struct, frozen=True):
    """The subjects, the names of those that are trained on, and whether to write the result."""

    subjects: list[Subject]
    trained_on: list[str]
    write: bool


def read_arguments(description: str | None) -> Arguments:
    """Parses the command line, and opens the collections that it names."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="*", type=Path)
    parser.add_argument("--test", nargs="*", type=Path, default=[])
    parser.add_argument("--gold", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    subjects = [open_collection(folder, Settings(), silent) for folder in [*options.collections, *options.test]]
    if options.gold:
        subjects.append(gold_subject(options.gold.parent.name, load_gold(options.gold), Engine.open(options.index)))
    tested = {folder.resolve().name for folder in options.test}
    return Arguments(subjects, [each.name for each in subjects if each.name not in tested], options.write)


def silent(*_: object) -> None:
    """Ignores progress."""
