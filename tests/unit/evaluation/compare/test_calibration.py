import numpy as np
import pytest

from rag_qa.evaluation.compare.calibration import Model, fit, threshold_of


def test_a_fit_by_hand():
    """Two features of which only the first tells: its slope is the log odds ratio, the other's is not negative."""
    values = np.array([[1.0, 1.0]] * 8 + [[0.0, 1.0]] * 8 + [[1.0, 0.0]] * 8 + [[0.0, 0.0]] * 8)
    right = np.array(([True] * 6 + [False] * 2 + [True] * 2 + [False] * 6) * 2)
    model = fit(values, right, pull=0.0)
    assert model.coefficients == pytest.approx((2 * np.log(3), 0.0), abs=1e-3)
    assert model.intercept == pytest.approx(-np.log(3), abs=1e-3)
    against = fit(values * [-1, 1], right, pull=0.0)
    assert against.coefficients[0] == 0  # it would have to count against what it stands for
    doubled = fit(values, right, weights=np.where(right, 2.0, 1.0), pull=0.0)
    assert doubled.intercept == pytest.approx(np.log(2) - np.log(3), abs=1e-3)


def test_a_sign_that_is_the_same_everywhere_keeps_what_is_known():
    values = np.array([[0.1, 1.0], [0.9, 1.0], [0.2, 1.0], [0.7, 1.0]])
    right = np.array([False, True, False, True])
    assert fit(values, right, prior=Model((1.0, 2.5), 0.0)).coefficients[1] == 2.5
    model = fit(values, right)
    assert model.coefficients[1] == 0
    assert model.confidences(np.array([[0.9, 0.99]]))[0] == pytest.approx(model.confidences(values[1:2])[0])


def test_few_questions_leave_a_fit_near_what_is_known():
    values, right = np.array([[0.1], [0.9]]), np.array([False, True])
    known = Model((3.0,), 0.0)
    near = fit(values, right, prior=known, pull=10.0).coefficients[0]
    assert near == pytest.approx(3.0, abs=0.3)
    assert fit(values, right, pull=10.0).coefficients[0] < 0.3


def test_the_threshold_lets_nineteen_of_twenty_right_answers_through():
    confidences = np.array([*np.arange(1, 21) / 20, 0.99, 0.01])
    right = np.array([True] * 20 + [False] * 2)
    assert threshold_of(confidences, right) == 0.1  # from .1 on, 19 of 20
    assert threshold_of(confidences[:10], right[:10]) == 0.05  # nine of ten would be too few
    assert threshold_of(np.array([0.12345]), np.array([True])) == 0.1234
