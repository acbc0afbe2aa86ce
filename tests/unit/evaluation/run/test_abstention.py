import pytest

from rag_qa.evaluation.run.abstention import judge_abstention


def test_abstention_by_hand():
    found = judge_abstention(
        "confidence",
        confidences=[0.95, 0.85, 0.55, 0.35],
        answered=[True, True, True, False],
        right=[True, False, True, False],
    )
    # pairs of a right and a wrong one: .95 > .85, .95 > .35, .55 < .85, .55 > .35
    assert found.metrics["auroc"].value == 3 / 4
    assert found.metrics["accuracy"].value == 3 / 4
    assert found.metrics["ece"].value == pytest.approx((0.05 + 0.85 + 0.45 + 0.35) / 4)
    assert found.curve == [(0.25, 0.0), (0.5, 0.5), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]
    assert found.metrics["aurc"].value == pytest.approx((0.0 + 0.5 + 1 / 3 + 0.5) / 4)
    for each in found.metrics.values():
        assert each.low <= each.value <= each.high


def test_equal_confidences_are_one_point_of_the_curve_and_half_a_win():
    found = judge_abstention("dense", [0.5, 0.5, 0.9], [True] * 3, [True, False, True])
    assert found.curve == [(pytest.approx(1 / 3), 0.0), (1.0, pytest.approx(1 / 3))]
    assert found.metrics["auroc"].value == 3 / 4


def test_confidences_of_one_bin_are_compared_together():
    found = judge_abstention("confidence", [0.71, 0.79], [True, True], [True, False])
    assert found.metrics["ece"].value == pytest.approx(abs(1.5 - 1) / 2)


def test_where_all_are_right_there_is_nothing_to_tell_apart():
    found = judge_abstention("dense", [0.5, 1.0], [True, True], [True, True])
    assert "auroc" not in found.metrics
    assert found.metrics["accuracy"].value == 1.0
    assert found.metrics["ece"].value == pytest.approx(0.25)
