import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calibrations import made

from rag_qa.answering.confidence import (
    CALIBRATION,
    ConfidenceFeatures,
    save_calibration,
)
from rag_qa.errors import WriteError


def test_features_by_hand():
    features = ConfidenceFeatures.from_scores([0.9, 0.5, 0.4, 0.4, 0.3, 0.1], sentence=1.2)
    assert features.values == pytest.approx((0.9, 0.9 - 0.5, 0.9 - 2.6 / 6, 1.2))
    assert ConfidenceFeatures.from_scores([0.4], 0.0).values == (0.4, 0.0, 0.0, 0.0)
    many = [1.0] + [0.0] * 30  # only the first twenty count
    assert ConfidenceFeatures.from_scores(many, 0).field == pytest.approx(1 - 1 / 20)


def test_confidence_by_hand():
    features = ConfidenceFeatures(0.5, 0.25, 0.3, 1.0)
    assert made().confidence(features) == round(1 / (1 + np.exp(4 - 0.5 - 0.5 - 0.5)), 4)
    assert made(intercept=1000.0).confidence(features) == 1.0
    assert made(intercept=-1e9).confidence(features) == 0.0


@given(*[st.floats(0, 1)] * 4, st.integers(0, 3), st.floats(0, 1))
def test_more_of_a_sign_never_makes_less_sure(score, lead, field, sentence, which, more):
    values = [score, lead, field, sentence]
    better = list(values)
    better[which] += more
    assert made().confidence(ConfidenceFeatures(*better)) >= made().confidence(ConfidenceFeatures(*values))


def test_an_index_that_cannot_be_written(tmp_path):
    with pytest.raises(WriteError, match=f"{CALIBRATION} cannot be written"):
        save_calibration(tmp_path / "gone", made())
