"""Calibrations made by hand."""

from rag_qa.answering.confidence import (
    Calibration,
    ConfidenceFeatures,
    bound_settings,
)
from rag_qa.settings import Settings

NAMES = ConfidenceFeatures.__struct_fields__


def made(**changes):
    values = {
        "coefficients": dict(zip(NAMES, (1.0, 2.0, 0.0, 0.5), strict=True)),
        "intercept": -4.0,
        "threshold": 0.5,
        "encoder": "e",
        "settings": bound_settings(Settings()),
        "questions": 10,
        "source": "gold",
    }
    return Calibration(**values | changes)
