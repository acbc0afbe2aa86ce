"""Confidence: a calibrated probability that the passages of an answer answer the question.

A logistic function of a few features of the ranking, none with a negative coefficient. The calibration that ships is
fitted by training/confidence.py; `rag-qa eval --calibrate` fits one for a collection of one's own. Each belongs to an
encoder and to the settings that shape scores.
"""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from rag_qa.errors import write_errors
from rag_qa.files import write_atomically
from rag_qa.schemas import json_decoder
from rag_qa.settings import SCORE_SETTINGS, Settings

__all__ = [
    "CALIBRATION",
    "FIELD",
    "Calibration",
    "ConfidenceFeatures",
    "bound_settings",
    "load_calibration",
    "save_calibration",
]

CALIBRATION = "calibration.json"
"""A user's own, in the folder of the index."""
SHIPPED = "confidence.json"
LEADING, FIELD = 5, 20
"""Results that the best one is compared with."""
BOUND = ("passage_tokens", "overlap_tokens", "context_tokens", *SCORE_SETTINGS)
"""Settings that a calibration belongs to."""
DIGITS = 4
LARGEST = 1e6
HIGHEST_ODDS = 700  # logarithm; above, the exponential overflows
ADVICE = "make one with `rag-qa eval --gold FILE --calibrate`"


class ConfidenceFeatures(Struct, frozen=True):
    """Inputs of the confidence model, taken before reranking; each can only raise the confidence."""

    score: float
    """Fused score of the best result."""
    lead: float
    """Difference between it and the mean of the first five."""
    field: float
    """Difference between it and the mean of the first twenty."""
    sentence: float
    """Best sum, over the sentences of the best passage, of the question's terms that it holds and its similarity."""

    @classmethod
    def from_scores(cls, scores: Sequence[float], sentence: float) -> "ConfidenceFeatures":
        """The features of a ranking.

        Args:
            scores: of different results, best first; at least one, and at most FIELD count.
            sentence: as the field.
        """
        best = scores[0]
        lead, field = (best - float(np.mean(scores[:count])) for count in (LEADING, FIELD))
        return cls(best, lead, field, sentence)

    @property
    def values(self) -> tuple[float, ...]:
        """All of them, in order."""
        return msgspec.structs.astuple(self)


class Calibration(Struct, frozen=True, kw_only=True):
    """A fitted logistic function of the features, with what it belongs to and how it was made."""

    coefficients: dict[str, Annotated[float, Meta(ge=0, le=LARGEST)]]
    intercept: Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
    threshold: Annotated[float, Meta(ge=0, le=1)]
    """The confidence from which on a question counts as answered."""
    encoder: str
    """The digest of the model that it belongs to, in whatever precision."""
    settings: dict[str, Any]
    """Settings that it belongs to."""
    questions: int
    """Number of questions that it was fitted on."""
    source: str

    def confidence(self, features: ConfidenceFeatures) -> float:
        """The probability that the passages answer the question."""
        weights = [self.coefficients[name] for name in ConfidenceFeatures.__struct_fields__]
        log_odds = float(np.dot(weights, features.values)) + self.intercept
        return round(float(1 / (1 + np.exp(-np.clip(log_odds, -HIGHEST_ODDS, HIGHEST_ODDS)))), DIGITS)

    def difference(self, encoder: str, settings: Settings) -> str | None:
        """A description of what it was not made for; None where it was made for all of this."""
        if self.encoder != encoder:
            return "another encoder"
        now = bound_settings(settings)
        name = next((name for name in now if self.settings.get(name) != now[name]), None)
        return None if name is None else f"{name} {self.settings.get(name)} instead of {now[name]}"


_CALIBRATIONS = json_decoder(Calibration)


def bound_settings(settings: Settings) -> dict[str, Any]:
    """The settings that a calibration belongs to."""
    return {name: getattr(settings, name) for name in BOUND}


def load_calibration(index: Path | None, encoder: str, settings: Settings) -> tuple[Calibration | None, str | None]:
    """The calibration of an index, or else the one that ships; where it cannot be used None, and why.

    Args:
        index: folder of the index; None for the one that ships, whatever there is.
        encoder: the digest of its encoder's model.
        settings: what it was built with, and how it is asked.
    """
    own = index / CALIBRATION if index else None
    place = f"calibration {own}" if own and os.path.lexists(own) else "calibration that ships"
    try:
        shipped = files("rag_qa.answering").joinpath(SHIPPED)
        data = own.read_bytes() if own and os.path.lexists(own) else shipped.read_bytes()
        calibration = _CALIBRATIONS.decode(data)
        if calibration.coefficients.keys() != set(ConfidenceFeatures.__struct_fields__):
            raise msgspec.ValidationError("other features")
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, f"The {place} cannot be read, so that there is no confidence: {ADVICE}."
    if found := calibration.difference(encoder, settings):
        return None, f"The {place} was made for {found}, so that there is no confidence: {ADVICE}."
    return calibration, None


def save_calibration(index: Path, calibration: Calibration) -> Path:
    """Keeps a calibration in the folder of the index; returns where.

    Raises:
        WriteError: it cannot be written.
    """
    path = index / CALIBRATION
    with write_errors(path, OSError):
        write_atomically(path, msgspec.json.format(msgspec.json.encode(calibration)).decode())
    return path
