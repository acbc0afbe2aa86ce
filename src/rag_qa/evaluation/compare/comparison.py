"""Two runs over the same questions, side by side."""

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

__all__ = ["Change", "Comparison", "Paired", "Reports", "base_of", "compare", "load_reports", "paired"]

MOST_CHANGED = 10


class Paired(Struct, frozen=True):
    """A measure in both runs, and how it differs."""

    base: float
    value: float
    difference: Difference
    p: float
    """The test's p value, adjusted for the number of measures (Benjamini and Hochberg)."""
    verdict: str
    """`better` or `worse` where p is below .05, otherwise `equal` or `unclear`."""


class Change(Struct, frozen=True):
    """A question whose nDCG@10 changed."""

    id: str
    question: str
    base: QuestionResult
    now: QuestionResult

    @property
    def difference(self) -> float:
        """How much more nDCG@10 it has now."""
        return self.now.measures[RANKED_BY] - self.base.measures[RANKED_BY]


class Comparison(Struct, frozen=True):
    """A run against a base: by measure, and the questions that changed most."""

    collection: str
    base_snapshot: str
    snapshot: str
    settings: dict[str, tuple[Any, Any]]
    """Those that differ: before, now."""
    questions: int
    missing: list[str]
    """Ids of the base's questions that the run does not have, or has with other words or evidence: left out."""
    added: list[str]
    """Ids of questions that only the run has: left out."""
    measures: dict[str, Paired]
    changed: list[Change]


def compare(base: Report, now: Report, names: Sequence[str] = ()) -> Comparison:
    """Compares the questions that both runs answered.

    Args:
        base: the run to compare with.
        now: the run that is judged.
        names: the measures, by default all that both have.

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
    """Tests of a family, each a measure with its values of the same questions in the base and now."""
    differences = [paired_difference(base, now) for _, base, now in family]
    p_values = adjusted([each.p for each in differences])
    return [
        Paired(_mean(base), _mean(now), difference, p, _worth(measure, difference, p))
        for (measure, base, now), difference, p in zip(family, differences, p_values, strict=True)
    ]


def _worth(measure: str, difference: Difference, p: float) -> str:
    """What a difference says: `better`, `worse`, `equal` where there is none, `unclear` where it may be chance."""
    if not difference.wins + difference.losses:
        return "equal"
    if p >= SIGNIFICANT:
        return "unclear"
    return "better" if (difference.value < 0) == (measure in LOWER_IS_BETTER) else "worse"


def load_reports(path: Path) -> list[Report]:
    """The reports in a file that `rag-qa eval --json` wrote.

    Raises:
        GoldError: it is no such file.
    """
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
        return _SEVERAL.decode(data).collections or [_REPORT.decode(data)]
    except OSError as error:
        raise GoldError(f"The base “{path}” cannot be read ({error.strerror}): check the path.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GoldError(
            f"“{path}” is no report of this version ({error}): make one with `rag-qa eval --json`."
        ) from None


def base_of(report: Report, bases: Sequence[Report]) -> Report:
    """The base of the same collection; where there is only one, that.

    Raises:
        GoldError: there is none.
    """
    found = bases if len(bases) == 1 else [base for base in bases if base.collection == report.collection]
    if not found:
        known = ", ".join(base.collection for base in bases)
        raise GoldError(f"The base has no report of {report.collection}, only of {known}.")
    return found[0]


class Reports(Struct, frozen=True):
    """What `--json` prints for several collections."""

    collections: list[Report] = []


_REPORT = msgspec.json.Decoder(Report)
_SEVERAL = msgspec.json.Decoder(Reports)


def _pairs(base: Report, now: Report) -> tuple[list[tuple[QuestionResult, QuestionResult]], list[str], list[str]]:
    """The answerable questions of both, equal in words and evidence; the ids that are missing now, and that are new."""
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
