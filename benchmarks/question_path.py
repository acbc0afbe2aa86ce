"""The way of a question through the code: which files one `Engine.ask` enters, and how often it climbs back.

    python benchmarks/question_path.py [INDEX] [QUESTION]

A file is entered when one of its functions is called. A stay is an unbroken run of calls from the composition,
engine.py, into one file; a climb back is a stay in a file that the question had left before.
"""

import sys
from itertools import groupby
from pathlib import Path
from types import FrameType

import rag_qa
from rag_qa import Engine

PACKAGE = Path(rag_qa.__file__).parent
COMPOSITION = "engine.py"


def trace(engine: Engine, question: str) -> tuple[list[str], list[str]]:
    """The files that a question enters, in order of appearance, and its stays; paths are relative to the package."""
    entered: dict[str, None] = {}
    calls: list[str] = []

    def on_call(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or (file := file_of(frame)) is None:
            return
        entered.setdefault(file)
        if file != COMPOSITION and frame.f_back is not None and file_of(frame.f_back) == COMPOSITION:
            calls.append(file)

    sys.setprofile(on_call)
    try:
        engine.ask(question)
    finally:
        sys.setprofile(None)
    return list(entered), [file for file, _ in groupby(calls)]


def file_of(frame: FrameType) -> str | None:
    """The file of a function, if it is one of the package's."""
    path = Path(frame.f_code.co_filename)
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else None


def main() -> None:
    """Prints the files, the stays and the climbs."""
    index = sys.argv[1] if len(sys.argv) > 1 else "index"
    question = sys.argv[2] if len(sys.argv) > 2 else "what did HMICFRS recommend?"
    with Engine.open(index) as engine:
        files, stays = trace(engine, question)
    climbs = len(stays) - len(set(stays))
    print("\n".join(files))
    print(f"\nstays: {' > '.join(stays)}\n{len(files)} files, {len(stays)} stays, {climbs} climbs back")


if __name__ == "__main__":
    main()
