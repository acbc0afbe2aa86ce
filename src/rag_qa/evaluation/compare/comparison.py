"""Comparison of two runs over the same questions."""

from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from rag_qa.errors import GoldError
from rag_qa.evaluation.names import LOWER_IS_BETTER, RANKED_BY
from rag_qa.evaluation.results import Difference, QuestionResult, Report
from rag_qa.evaluation.statistics import SIGNIFICANT, adjusted, paired_difference
from rag_qa.schemas import json_decoder

__all__ = ["Change", "Comparison", "Paired", "Reports", "base_of", "compare", "load_reports", "paired"]

MOST_CHANGED = 10


class Paired(Struct, frozen=True):
    """The means of a measure in both runs, and the test of their difference."""

    base: float
    value: float
    difference: Difference
    p: float
    """p value of the test, adjusted for the number of measures (Benjamini and Hochberg)."""
    verdict: str
    """`better` or `worse` where p is below .05, otherwise `equal` or `unclear`."""


class Change(Struct, frozen=True):
    """A question whose nDCG@10 changed, with its results in both runs."""

    id: str
    question: str
    base: QuestionResult
    now: QuestionResult

    @property
    def difference(self) -> float:
        """Gain of nDCG@10 over the base."""
        return self.now.measures[RANKED_BY] - self.base.measures[RANKED_BY]


class Comparison(Struct, frozen=True):
    """The differences of a run from a base by measure, and the questions that changed most."""

    collection: str
    base_snapshot: str
    snapshot: str
    settings: dict[str, tuple[Any, Any]]
    """Settings that differ: the value in the base, the value now."""
    questions: int
    missing: list[str]
    """Ids of questions of the base that the run lacks, or has with other words or evidence: not compared."""
    added: list[str]
    """Ids of questions that only the run has: not compared."""
    measures: dict[str, Paired]
    changed: list[Change]


def compare(base: Report, now: Report, names: Sequence[str] = ()) -> Comparison:
    """Compares two runs over the answerable questions that both have.

    Args:
        base: the run to compare with.
        now: the run that is judged.
        names: the measures; by default all that both have.

    Raises:
        GoldError: the base is about other documents, has none of the questions, or lacks a measure.
    """
    if base.documents != now.documents:
        raise GoldError(
            f"The base was made from other documents ({base.collection}, {base.counts.get('documents')} of them, "
            f"digest {base.documents}) than these ({now.collection}, {now.counts['documents']}, digest "
            f"{now.documents}): compare with a run about the same documents."
        )
    pairs, missing, added = _pairs(base, now)
    if not pairs:
        raise GoldError("The base has none of these questions: compare with a run of the same gold.")
    shared = [name for name in now.metrics if all(name in each.measures for pair in pairs for each in pair)]
    unknown = [name for name in (*names, RANKED_BY) if name not in shared]
    if unknown:
        raise GoldError(
            f"“{unknown[0]}” is no measure of single questions that both runs have; these are: {', '.join(shared)}."
        )
    chosen = list(names or shared)
    tests = paired(
        [
            (name, [before.measures[name] for before, _ in pairs], [after.measures[name] for _, after in pairs])
            for name in chosen
        ]
    )
    changes = [Change(after.id, after.question, before, after) for before, after in pairs]
    changed = sorted((each for each in changes if each.difference), key=lambda each: (-abs(each.difference), each.id))
    return Comparison(
        collection=now.collection,
        base_snapshot=base.snapshot,
        snapshot=now.snapshot,
        settings={
            name: (base.settings.get(name), value)
            for name, value in now.settings.items()
            if base.settings.get(name) != value
        },
        questions=len(pairs),
        missing=missing,
        added=added,
        measures=dict(zip(chosen, tests, strict=True)),
        changed=changed[:MOST_CHANGED],
    )


def paired(family: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> list[Paired]:
    """Tests a family of measures, each given by its name and its values of the same questions in the base and now."""
    differences = [paired_difference(base, now) for _, base, now in family]
    p_values = adjusted([each.p for each in differences])
    return [
        Paired(_mean(base), _mean(now), difference, p, _worth(measure, difference, p))
        for (measure, base, now), difference, p in zip(family, differences, p_values, strict=True)
    ]


def _worth(measure: str, difference: Difference, p: float) -> str:
    """Returns the verdict: `equal` where no question differs, `unclear` where p is not significant, else which way."""
    if not difference.wins + difference.losses:
        return "equal"
    if p >= SIGNIFICANT:
        return "unclear"
    return "better" if (difference.value < 0) == (measure in LOWER_IS_BETTER) else "worse"


def load_reports(path: Path) -> list[Report]:
    """Reads the reports in a file that `rag-qa eval --json` wrote.

    Raises:
        GoldError: the file cannot be read, or is no such file.
    """
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
        return _SEVERAL.decode(data).collections or [_REPORTS.decode(data)]
    except OSError as error:
        raise GoldError(f"The base “{path}” cannot be read ({error.strerror}): check the path.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GoldError(
            f"“{path}” is no report of this version ({error}): make one with `rag-qa eval --json`."
        ) from None


def base_of(report: Report, bases: Sequence[Report]) -> Report:
    """Returns the only base, or of several the one of the same collection.

    Raises:
        GoldError: no base is of this collection.
    """
    found = bases if len(bases) == 1 else [base for base in bases if base.collection == report.collection]
    if not found:
        known = ", ".join(base.collection for base in bases)
        raise GoldError(f"The base has no report of {report.collection}, only of {known}.")
    return found[0]


class Reports(Struct, frozen=True):
    """Reports of several collections, as `--json` prints them."""

    collections: list[Report] = []


_REPORTS, _SEVERAL = json_decoder(Report), json_decoder(Reports)


def _pairs(base: Report, now: Report) -> tuple[list[tuple[QuestionResult, QuestionResult]], list[str], list[str]]:
    """Returns the answerable questions that both runs have, the ids only the base has, and the ids only the run has.

    A question counts as the same if its words and evidence are.
    """
    before = {each.id: each for each in base.questions if each.answerable}
    after = {each.id: each for each in now.questions if each.answerable}
    same = {
        name
        for name, each in after.items()
        if name in before and (each.question, each.evidence) == (before[name].question, before[name].evidence)
    }
    pairs = [(before[name], after[name]) for name in after if name in same]
    return pairs, [name for name in before if name not in same], [name for name in after if name not in before]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
