"""The same statement in several documents: found by MinHash, judged on the words.

Precision comes first. White space, quotation marks, brackets, commas, dashes and emphasis do not matter; a word that
the other text does not have is passed over only if it is one of six, and only where it says nothing.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LENGTH", "LIKELY", "likeness", "same_statement", "signature"]

LENGTH = 64
"""Numbers in a signature."""
LIKELY = 0.3
"""Texts that are less alike are not worth comparing: two same statements of ten words have a Jaccard similarity of at
least 0.45, and there the estimate's standard error is 0.06."""
SHINGLE = 3  # words
SEED = 1
WORDS_A_CHANGE = 10

FILLERS = frozenset(("a", "also", "an", "that", "the", "very"))
# Beside one of these a filler says something: "a few", "not very", "in the charge of".
LISTED = (
    "no not never none nor neither nobody nothing nowhere without cannot hardly barely scarcely rarely seldom so such "
    "all any both each either enough every few fewer fewest less least little many more most much only several some "
    "about above almost approximately around below nearly over roughly under percent couple pair number lot deal bit "
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands "
    "million millions billion billions trillion trillions dozen dozens score scores half halves quarter quarters "
    "first second third fourth fifth sixth seventh eighth ninth tenth once twice double doubled triple tripled "
    "last next other others past present former latter previous following same late "
    "at by for from in of on out to with alleged expected intended need needed supposed suspected used"
)
TOUCHY = frozenset(LISTED.split())

ALIKE = str.maketrans(
    {**dict.fromkeys("«»“”„‟‹›‚", '"'), **dict.fromkeys("‘’‛ʼ", "'"), **dict.fromkeys("•●▪◦‣", " "), "?": " ? "}
)
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
DASH = re.compile(r"--+|[—―]")
DETACHED_SIGN = re.compile(r"(?<!\S)-\s+(?=\W?\d)")
# What comes off a word. Before a digit a full stop and a bracket stay, and after one a quotation mark and a bracket.
BEFORE = re.compile(r"""^(?:["'*_`,;:)\]}]|[.(\[{](?!\W?\d)|#+$)+""")
AFTER_REVERSED = re.compile(r"""^(?:[.,;:!*_`(\[{]|["')\]}](?!\d))+""")
WITHIN = re.compile(r"""[-"*_`,;!()\[\]{}]+""")
SENTENCE_END = re.compile(r"""[.!?]["'*_`)\]}]*$""")


class _Word(Struct, frozen=True):
    text: str
    starts: bool = False
    """Whether it begins a sentence."""
    bare: bool = True
    """Whether nothing but quotation marks and emphasis touches it."""

    @property
    def uncapitalised(self) -> str:
        return self.text[:1].lower() + self.text[1:]

    @property
    def filler(self) -> str | None:
        word = self.uncapitalised if self.starts else self.text
        return word if self.bare and word in FILLERS else None

    @property
    def touchy(self) -> bool:
        word = self.text.lower()
        return word in TOUCHY or word.endswith("n't") or any(map(str.isdigit, word))

    def matches(self, other: "_Word") -> bool:
        """Whether both are equal, but for a capital where one of them begins a sentence."""
        if self.text == other.text:
            return True
        return (self.starts or other.starts) and self.uncapitalised == other.uncapitalised


def signature(text: str) -> "NDArray[np.uint32]":
    """The MinHash (Broder 1997) of a text's runs of three words, of shape (64,); the same on every machine."""
    words = [word.text.lower() for word in _words(text)]
    shingles = {" ".join(words[i : i + SHINGLE]).encode() for i in range(max(1, len(words) - SHINGLE + 1))}
    sketch = _empty_sketch().copy()
    sketch.update_batch(shingles)
    hashes: NDArray[np.uint32] = sketch.hashvalues
    return hashes


def likeness(signatures: "NDArray[np.uint32]", one: "NDArray[np.uint32]") -> "NDArray[np.float64]":
    """Estimates of the Jaccard similarity of n texts with one, of shape (n,), from signatures of shape (n, 64)."""
    shares: NDArray[np.float64] = (signatures == one).mean(axis=1)
    return shares


def same_statement(one: str, other: str) -> bool:
    """Whether two texts say the same in the same words.

    The words are the same in the same order, except that of ten words one may be a filler that the other text does not
    have. A filler is not taken for another.
    """
    first, second = _words(one), _words(other)
    if len(first) == len(second) and all(map(_Word.matches, first, second)):
        return True
    (content, fillers), (other_content, other_fillers) = _parted(first), _parted(second)
    if len(content) != len(other_content):
        return False
    changes = 0
    for word, counterpart in zip(content, other_content, strict=True):
        if not word.matches(counterpart):
            return False
    for gap, other_gap in zip(fillers, other_fillers, strict=True):
        fewer, more = sorted((gap, other_gap), key=len)
        rest = iter(more)
        if not all(filler in rest for filler in fewer):
            return False
        changes += len(more) - len(fewer)
    return changes * WORDS_A_CHANGE <= max(len(first), len(second))


@cache
def _empty_sketch() -> Any:  # noqa: ANN401 - datasketch has no types
    from datasketch import MinHash  # type: ignore[import-untyped]

    return MinHash(LENGTH, SEED, hashfunc=zlib.crc32, scheme="affine32")


def _words(text: str) -> list[_Word]:
    """The words of a text without what does not matter; what has a digit or a symbol in it stays whole."""
    compatible = unicodedata.normalize("NFKC", NOT_ASCII.sub(_prepared, text))
    plain = DETACHED_SIGN.sub("-", DASH.sub(" - ", compatible.translate(ALIKE)))
    words: list[_Word] = []
    starts = True
    for chunk in plain.split():
        if chunk.isalpha():
            words.append(_Word(chunk, starts))
            starts = False
            continue
        core = AFTER_REVERSED.sub("", BEFORE.sub("", chunk)[::-1])[::-1]
        pieces = [piece for part in WITHIN.split(core) if (piece := part.strip("'"))]
        if not all(piece.replace("'", "").isalpha() for piece in pieces):
            pieces = [core]
        bare = pieces == [chunk.strip("\"'*_`")]
        words.extend(_Word(piece, starts and i == 0, bare) for i, piece in enumerate(pieces))
        starts = (starts and not pieces) or SENTENCE_END.search(chunk) is not None
    return words


def _prepared(match: re.Match[str]) -> str:
    """A character as NFKC may have it: invisible ones vanish, a dash or minus is a hyphen, 10² does not become 102."""
    character = match[0]
    category = unicodedata.category(character)
    if category == "Cf" or character in "\ufe0e\ufe0f":
        return ""
    if character == "−" or (category == "Pd" and character not in "—―"):
        return "-"
    raised = unicodedata.decomposition(character).startswith(("<super>", "<sub>", "<fraction>", "<circle>"))
    return f"^{character}" if raised else character


def _parted(words: Sequence[_Word]) -> tuple[list[_Word], list[list[str]]]:
    """The words that are no fillers where they stand, and the fillers before each of them and after the last."""
    content: list[_Word] = []
    fillers: list[list[str]] = [[]]
    for i, word in enumerate(words):
        if (filler := word.filler) and _says_nothing(words, i):
            fillers[-1].append(filler)
        else:
            content.append(word)
            fillers.append([])
    return content, fillers


def _says_nothing(words: Sequence[_Word], i: int) -> bool:
    """Whether a filler stands before another word, and neither word beside it gives it a meaning."""
    if i + 1 == len(words) or (i > 0 and words[i - 1].touchy):
        return False
    return words[i].filler in {"also", "that"} or not words[i + 1].touchy
