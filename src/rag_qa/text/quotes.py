"""Search for a quote in a text, in time that grows with the text alone: no text or quote makes it slower."""

import re
from collections.abc import Iterator

__all__ = ["nearest"]

WORD = re.compile(r"\S+")


def nearest(text: str, quote: str, near: int) -> tuple[int, int] | None:
    """Start and end of a quote, letter for letter or else with other white space; the nearest one to an offset.

    Of occurrences that overlap the first counts. `str.find` is linear (Crochemore and Perrin, "Two-way
    string-matching", 1991), which regular expressions are not.
    """
    if not quote.strip():
        return None
    if (start := _nearest(text, quote, near)) is not None:
        return start, start + len(quote)
    words = " ".join(quote.split())
    start = _nearest(" ".join(text.split()), words, len(" ".join(text[:near].split())))
    return None if start is None else _stretched(text, start, start + len(words))


def _nearest(text: str, quote: str, near: int) -> int | None:
    return min(_starts(text, quote), key=lambda start: abs(start - near), default=None)


def _starts(text: str, quote: str) -> Iterator[int]:
    start = text.find(quote)
    while start >= 0:
        yield start
        start = text.find(quote, start + len(quote))


def _stretched(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of a text whose offsets are known for the text with single blanks between its words."""
    first = last = passed = 0
    for word in WORD.finditer(text):
        length = word.end() - word.start()
        if passed <= start < passed + length:
            first = word.start() + start - passed
        if passed < end <= passed + length:
            last = word.start() + end - passed
            break
        passed += length + 1
    return first, last
