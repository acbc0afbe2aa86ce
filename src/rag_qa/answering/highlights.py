"""Highlights: the sentences of a passage that answer best, by a small trained scorer (training/README.md)."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from rag_qa.answering.evidence import SentenceEvidence
from rag_qa.schemas import json_decoder
from rag_qa.types import Highlight, Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEATURES", "Scorer", "features", "mark", "scorer"]

FEATURES = ("words", "nearness", "kind")
MODEL = "highlights.json"
UNKNOWN = 0.5
USUAL_LENGTH = 100  # characters
ALONE = {"words": "words", "vectors": "nearness"}


class Scorer(Struct, frozen=True):
    """A log-linear model of whether a sentence answers, and how much of a passage may be marked."""

    coefficients: dict[str, float]
    length_cost: float
    """Cost of each factor of e in the length of a sentence, which keeps marks short."""
    second: float
    """Least likelihood of a second sentence, as a share of that of the best."""
    most: float
    """Largest share of a passage that two sentences together may make up."""

    def scores(self, sentences: "NDArray[np.float64]", lengths: Sequence[int]) -> "NDArray[np.float64]":
        """The log odds of sentences, up to a constant, of shape (n,).

        Args:
            sentences: features, of shape (n, len(FEATURES)).
            lengths: in characters.
        """
        weights = np.array([self.coefficients[name] for name in FEATURES])
        scores: NDArray[np.float64] = sentences @ weights - self.length_cost * np.log(
            np.asarray(lengths) / USUAL_LENGTH
        )
        return scores


_SCORERS = json_decoder(Scorer)


@cache
def scorer(name: str) -> Scorer:
    """The trained scorer that ships, or with one of its features only, by the setting `highlights`."""
    trained = _SCORERS.decode(files("rag_qa.answering").joinpath(MODEL).read_bytes())
    if name not in ALONE:
        return trained
    alone = {feature: value for feature, value in trained.coefficients.items() if feature == ALONE[name]}
    return msgspec.structs.replace(trained, coefficients=dict.fromkeys(FEATURES, 0.0) | alone)


def features(evidence: SentenceEvidence) -> "NDArray[np.float64]":
    """The features of each of n sentences of a passage, of shape (n, len(FEATURES)), from 0 to 1."""
    holds = [UNKNOWN if each is None else float(each) for each in evidence.holds]
    return np.column_stack([_relative(evidence.shared), _relative(evidence.similarity), holds])


def mark(passage: Passage, sentences: "NDArray[np.float64]", scoring: Scorer) -> list[Highlight]:
    """Marks the best sentence of a passage, and the second if it is nearly as likely, in order of their offsets.

    Args:
        passage: with its sentences.
        sentences: their features, of shape (n, len(FEATURES)).
        scoring: the scorer.
    """
    lengths = [end - start for start, end in passage.sentences]
    scores = scoring.scores(sentences, lengths)
    best, *others = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    room = scoring.most * (passage.end - passage.start) - lengths[best]
    likely = (i for i in others if scores[i] - scores[best] >= np.log(scoring.second))
    second = next((i for i in likely if lengths[i] <= room), None)
    chosen = sorted({best} if second is None else {best, second})
    return [
        Highlight(start, end, passage.text[start - passage.start : end - passage.start])
        for start, end in (passage.sentences[i] for i in chosen)
    ]


def _relative(values: Sequence[float]) -> list[float]:
    """Each value as a share of the largest; negative values count as 0."""
    largest = max(values, default=0.0)
    return [max(value, 0.0) / largest if largest > 0 else 0.0 for value in values]
