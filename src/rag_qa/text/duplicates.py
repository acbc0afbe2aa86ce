"""Duplicates: texts that say the same, found by MinHash and judged on the characters.

Precision comes first: a comma, a full stop or a star may turn what a text says. So only the form of white space, of
quotation marks and of hyphens, what cannot be seen, and emphasis around words do not matter.
"""

import re
import unicodedata
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LENGTH", "is_duplicate", "signature"]

LENGTH = 64
"""Numbers in a signature."""
SHINGLE = 3  # words
SEED = 1

ALIKE = str.maketrans(
    {**dict.fromkeys("«»“”„‟", '"'), **dict.fromkeys("‘’‛ʼ", "'"), **dict.fromkeys("\u2010\u2011", "-")}
    | dict.fromkeys("\ufe0e\ufe0f", "")
)
BLANKS = re.compile(r"[^\S\t]+")  # a tab may stand between the cells of a table
EMPHASIS = re.compile(r"(?<![\w*])(\*\*|\*|__|_)(?=[^\W\d_])([^*_]*[^\W\d_])\1(?![\w*])")


def signature(text: str) -> "NDArray[np.uint32]":
    """The MinHash (Broder 1997) of a text's runs of three words, of shape (64,); the same on every machine."""
    words = _plain(text).lower().split()
    shingles = {" ".join(words[i : i + SHINGLE]).encode() for i in range(max(1, len(words) - SHINGLE + 1))}
    sketch = _empty_sketch().copy()
    sketch.update_batch(shingles)
    hashes: NDArray[np.uint32] = sketch.hashvalues
    return hashes


def is_duplicate(one: str, other: str) -> bool:
    """Returns whether two texts are duplicates: equal character for character, but for their form."""
    return _plain(one) == _plain(other)


@cache
def _empty_sketch() -> Any:  # noqa: ANN401 - datasketch has no types
    from datasketch import MinHash  # type: ignore[import-untyped]

    return MinHash(LENGTH, SEED, hashfunc=zlib.crc32, scheme="affine32")


def _plain(text: str) -> str:
    """Normalises a text for comparison. Signatures are stored: changing this requires a new FORMAT."""
    composed = unicodedata.normalize("NFC", text).translate(ALIKE)
    seen = "".join(
        character for character in composed if character.isascii() or unicodedata.category(character) != "Cf"
    )
    return BLANKS.sub(" ", EMPHASIS.sub(r"\2", seen)).strip()
