"""Protocols of the models that the stages use."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PassageEncoder", "QueryEncoder", "Reranker"]


class QueryEncoder(Protocol):
    """An encoder of questions."""

    def encode_queries(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension)."""

    def is_word(self, text: str) -> bool:
        """Returns whether it has a token of its own for a text, as for common words."""


class PassageEncoder(Protocol):
    """An encoder of passages."""

    @property
    def digest(self) -> str:
        """Digest that identifies the vectors it makes."""

    def encode_passages(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension)."""


class Reranker(Protocol):
    """A model that scores passages against a question."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Scores how well each text answers the question, in 0..1."""
