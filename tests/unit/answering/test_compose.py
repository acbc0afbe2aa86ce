import pytest

from rag_qa.answering.compose import within_budget


@pytest.mark.parametrize(
    ("budget", "chosen"), [(None, [0, 1, 2, 3]), (100, [0, 1]), (70, [0, 3]), (50, [0]), (30, [3]), (10, [])]
)
def test_budget_passes_over_what_does_not_fit(budget, chosen):
    assert within_budget([50, 50, 60, 20], budget) == chosen
