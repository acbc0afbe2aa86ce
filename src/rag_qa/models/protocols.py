"""What the stages need of a model, whichever it is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PassageEncoder", "QueryEncoder", "Reranker"]


class QueryEncoder(Protocol):
    """What asking needs."""

    def encode_queries(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension)."""
        ...

    def is_word(self, text: str) -> bool:
        """Whether it has a token of its own for a text, as for common words."""
        ...


class PassageEncoder(Protocol):
    """What indexing needs."""

    @property
    def digest(self) -> str:
        """Identifies the vectors it makes."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension)."""
        ...


class Reranker(Protocol):
    """What the second look needs."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, in 0..1."""
        ...
