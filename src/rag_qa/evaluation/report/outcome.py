"""All results of one evaluation of a collection."""

from typing import Any

import msgspec
from msgspec import Struct

from rag_qa.evaluation.compare.ablation import Ablation
from rag_qa.evaluation.compare.comparison import Comparison
from rag_qa.evaluation.compare.gate import Verdict
from rag_qa.evaluation.results import Report

__all__ = ["Outcome", "outcome_fields"]


class Outcome(Struct, frozen=True):
    """A report, and what else was requested: a comparison, a gate's verdict, an ablation."""

    report: Report
    comparison: Comparison | None = None
    gate: Verdict | None = None
    ablation: Ablation | None = None


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """Returns an outcome for JSON: the fields of the report, with those of the other parts that there are."""
    fields = msgspec.to_builtins(outcome)
    report: dict[str, Any] = fields.pop("report")
    return report | {name: value for name, value in fields.items() if value is not None}
