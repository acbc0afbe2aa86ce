"""Whether an evaluation is good enough: thresholds, and no significant loss against a baseline.

Both lie beside the gold: thresholds.toml and baseline.json.
"""

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct, field, structs

from rag_qa.errors import GoldError
from rag_qa.evaluation.comparison import compare, load_reports
from rag_qa.evaluation.results import Report

__all__ = ["BASELINE", "THRESHOLDS", "Gate", "check_gate", "write_baseline"]

THRESHOLDS, BASELINE = "thresholds.toml", "baseline.json"
KEPT_PASSAGES = 3  # of each question, in a baseline


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """What thresholds.toml says."""

    at_least: dict[str, float] = field(default_factory=dict)
    at_most: dict[str, float] = field(default_factory=dict)
    no_loss: tuple[str, ...] = ()
    """Measures that must not lose significantly against the baseline."""


class Gate(Struct, frozen=True):
    """What was checked, and what failed; one sentence each."""

    checked: list[str]
    failed: list[str]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failed


def check_gate(report: Report, folder: Path) -> Gate:
    """Checks a report against the thresholds and the baseline in a folder; where one is missing, the other counts.

    A loss counts if it is significant (p < .05, adjusted for the number of measures that must not lose).

    Raises:
        GoldError: both are missing, one cannot be used, or the baseline is about other documents or questions.
    """
    thresholds = _load_thresholds(folder / THRESHOLDS)
    baseline = folder / BASELINE
    if thresholds is None and not baseline.is_file():
        raise GoldError(
            f"“{folder}” has neither {THRESHOLDS} nor {BASELINE}: write down what must be reached, or keep this run "
            "with `rag-qa eval --write-baseline`."
        )
    checked, failed = list[str](), list[str]()
    for name, wanted, least in _wanted(thresholds or Thresholds()):
        if name not in report.figures:
            known = ", ".join(report.figures)
            raise GoldError(f"{folder / THRESHOLDS} names “{name}”, which is no measure; there are: {known}.")
        value = report.figures[name].value
        holds = value >= wanted if least else value <= wanted
        sentence = f"{name} is {value:.4f}, and must be at {'least' if least else 'most'} {wanted:g}"
        (checked if holds else failed).append(sentence)
    if thresholds is not None and thresholds.no_loss and not baseline.is_file():
        raise GoldError(f"{baseline} is missing: make it with `rag-qa eval --write-baseline`.")
    if baseline.is_file():
        for sentence, lost in _losses(report, baseline, thresholds):
            (failed if lost else checked).append(sentence)
    return Gate(checked, failed)


def write_baseline(report: Report, folder: Path) -> Path:
    """Keeps a report as the baseline, without the passages' texts, which are the index's."""
    questions = [
        structs.replace(
            question,
            retrieved=[structs.replace(item, text="") for item in question.retrieved[:KEPT_PASSAGES]],
        )
        for question in report.questions
    ]
    path = folder / BASELINE
    slim = structs.replace(report, questions=questions)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(slim), indent=1) + b"\n")
    return path


def _losses(report: Report, baseline: Path, thresholds: Thresholds | None) -> list[tuple[str, bool]]:
    """For each measure that must not lose, what was found, and whether it lost."""
    base, *others = load_reports(baseline)
    if others:
        raise GoldError(f"{baseline} holds {len(others) + 1} reports: a baseline is one.")
    compared = compare(base, report, thresholds.no_loss if thresholds else ())
    return [
        (
            f"{name} is {each.value:.4f}, in the baseline {each.base:.4f}: {each.verdict} (difference "
            f"{each.difference.low:+.4f} to {each.difference.high:+.4f}, p = {each.p:.4f})",
            each.verdict == "worse",
        )
        for name, each in compared.measures.items()
    ]


def _wanted(thresholds: Thresholds) -> list[tuple[str, float, bool]]:
    return [(name, value, True) for name, value in thresholds.at_least.items()] + [
        (name, value, False) for name, value in thresholds.at_most.items()
    ]


def _load_thresholds(path: Path) -> Thresholds | None:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Thresholds)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GoldError(f"{path} cannot be used ({error}): docs/evaluation.md shows what it may say.") from None
