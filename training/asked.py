"""What a training script is asked for on its command line: the collections, opened, and which may be trained on."""

import argparse
from pathlib import Path

from msgspec import Struct

from rag_qa.engine import Engine
from rag_qa.evaluation.gold.gold_file import load_gold
from rag_qa.evaluation.run.subjects import Subject, gold_subject, open_collection
from rag_qa.settings import Settings

__all__ = ["Asked", "read_arguments", "silent"]


class Asked(Struct, frozen=True):
    """The subjects, the names of those that may be trained on, and whether to write what comes out."""

    subjects: list[Subject]
    licensed: list[str]
    write: bool


def read_arguments(description: str | None) -> Asked:
    """Reads the command line, and opens what it names."""
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
    return Asked(subjects, [each.name for each in subjects if each.name not in tested], options.write)


def silent(*_: object) -> None:
    """No progress wanted."""
