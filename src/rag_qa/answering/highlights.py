"""The sentences of a passage that answer best, by a small trained scorer; how it was trained: training/README.md."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from rag_qa.answering.answer_types import holds_answer, kind_of
from rag_qa.types import Highlight, Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEATURES", "Scorer", "features", "mark", "scorer"]

FEATURES = ("words", "nearness", "kind")
MODEL = "highlights.json"
NOT_TOLD = 0.5
USUAL_LENGTH = 100  # characters
ALONE = {"words": "words", "vectors": "nearness"}


class Scorer(Struct, frozen=True):
    """What each feature of a sentence counts for its being the answer, and how much of a passage is marked."""

    coefficients: dict[str, float]
    length_cost: float
    """What is taken off for each factor of e in the length of a sentence: marks are short where they can be."""
    second: float
    """How likely, as a share of the best, a second sentence has to be."""
    most: float
    """Share of a passage that two sentences together may make up."""

    def scores(self, found: "NDArray[np.float64]", lengths: Sequence[int]) -> "NDArray[np.float64]":
        """The log odds of sentences, up to a constant.

        Args:
            found: their features, of shape (n, len(FEATURES)).
            lengths: theirs, in characters.
        """
        weights = np.array([self.coefficients[name] for name in FEATURES])
        scores: NDArray[np.float64] = found @ weights - self.length_cost * np.log(np.asarray(lengths) / USUAL_LENGTH)
        return scores


_SCORERS = msgspec.json.Decoder(Scorer)


@cache
def scorer(name: str) -> Scorer:
    """The trained scorer that ships, or what is left of it with one of its features, by the setting `highlights`."""
    trained = _SCORERS.decode(files("rag_qa.answering").joinpath(MODEL).read_bytes())
    if name not in ALONE:
        return trained
    alone = {feature: value for feature, value in trained.coefficients.items() if feature == ALONE[name]}
    return msgspec.structs.replace(trained, coefficients=dict.fromkeys(FEATURES, 0.0) | alone)


def features(
    question: str, sentences: Sequence[str], shared: Sequence[float], nearness: Sequence[float]
) -> "NDArray[np.float64]":
    """What speaks for each sentence of a passage being the answer, of shape (n, len(FEATURES)), from 0 to 1.

    Args:
        question: in words.
        sentences: of the passage.
        shared: the weight of the question's terms that stand in each.
        nearness: inner product of the question with each sentence's vector.
    """
    kind = kind_of(question)
    held = [holds_answer(kind, text, question) for text in sentences]
    kinds = [NOT_TOLD if each is None else float(each) for each in held]
    return np.column_stack([_relative(shared), _relative(nearness), kinds])


def mark(passage: Passage, found: "NDArray[np.float64]", scoring: Scorer) -> list[Highlight]:
    """The best sentence of a passage, and the second if it is nearly as likely, in order of their offsets."""
    lengths = [end - start for start, end in passage.sentences]
    scores = scoring.scores(found, lengths)
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
    """Each value as a share of the largest; nothing counts for less than 0."""
    largest = max(values, default=0.0)
    return [max(value, 0.0) / largest if largest > 0 else 0.0 for value in values]
