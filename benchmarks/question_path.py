"""The way of a question through the code: which files one `Engine.ask` enters, and how often it climbs back.

    python benchmarks/question_path.py [INDEX] [QUESTION]

A file is entered when one of its functions is called. A stay is an unbroken run of calls from the composition,
engine.py, into one file; a climb back is a stay in a file that the question had left before. Stays do not show how
files call one another: the last line counts every call that passes from one file to another, and every return to one.
"""

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from types import FrameType

import rag_qa
from rag_qa import Engine

PACKAGE = Path(rag_qa.__file__).parent
COMPOSITION = "engine.py"


def trace(engine: Engine, question: str) -> tuple[list[str], list[str]]:
    """The files of all calls and of those by the composition, each run of one file once; relative to the package."""
    every: list[str] = []
    by_composition: list[str] = []

    def on_call(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or (file := file_of(frame)) is None:
            return
        every.append(file)
        if file != COMPOSITION and frame.f_back is not None and file_of(frame.f_back) == COMPOSITION:
            by_composition.append(file)

    sys.setprofile(on_call)
    try:
        engine.ask(question)
    finally:
        sys.setprofile(None)
    return runs(every), runs(by_composition)


def runs(files: Iterable[str]) -> list[str]:
    """The files with each run of the same file once."""
    return [file for file, _ in groupby(files)]


def returns(files: list[str]) -> int:
    """The number of places in a list whose file stands further up too."""
    return len(files) - len(set(files))


def file_of(frame: FrameType) -> str | None:
    """The file of a function, if it is one of the package's."""
    path = Path(frame.f_code.co_filename)
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else None


def main() -> None:
    """Prints the files, the stays and the climbs."""
    index = sys.argv[1] if len(sys.argv) > 1 else "index"
    question = sys.argv[2] if len(sys.argv) > 2 else "what did HMICFRS recommend?"
    with Engine.open(index) as engine:
        changes, stays = trace(engine, question)
    files = list(dict.fromkeys(changes))
    print("\n".join(files))
    print(f"\nstays: {' > '.join(stays)}\n{len(files)} files, {len(stays)} stays, {returns(stays)} climbs back")
    print(f"by every call: {len(changes)} changes of file, {returns(changes)} to one entered before")


if __name__ == "__main__":
    main()
