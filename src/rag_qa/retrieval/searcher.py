"""All that questions are asked with: an opened index, its encoder, and the settings of search."""

from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from rag_qa.retrieval.fusion import Weights
from rag_qa.settings import Settings
from rag_qa.text.acronyms.lexicon import Lexicon

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from rag_qa.index.protocol import SearchIndex
    from rag_qa.models.protocols import QueryEncoder, Reranker

__all__ = ["Searcher"]

REMEMBERED = 1024
"""Questions whose vectors are kept, 1.5 kB for each variant of 384 numbers, so that none is encoded twice in a row."""


class Searcher(Struct, frozen=True, kw_only=True):
    """One snapshot, ready to be asked; safe to share between threads."""

    index: "SearchIndex"
    encoder: "QueryEncoder"
    encode: "Callable[[tuple[str, ...]], NDArray[np.float32]]"
    """Encodes the variants of a question to unit vectors of shape (m, d), and remembers them."""
    lexicon: Lexicon
    settings: Settings
    """Settings of the index and of search together."""
    weights: Weights
    reranker: "Reranker | None" = None

    @classmethod
    def from_index(
        cls, index: "SearchIndex", encoder: "QueryEncoder", settings: Settings, reranker: "Reranker | None" = None
    ) -> "Searcher":
        """Prepares an opened index to be asked."""
        return cls(
            index=index,
            encoder=encoder,
            encode=lru_cache(REMEMBERED)(encoder.encode_queries),
            lexicon=Lexicon(index.acronyms),
            settings=settings,
            weights=Weights.from_settings(settings),
            reranker=reranker,
        )
