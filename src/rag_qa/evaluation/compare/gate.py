"""The gate: checks an evaluation against thresholds, and for significant losses against a baseline.

Both are files beside the gold: thresholds.toml and baseline.json.
"""

import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, field, structs

from rag_qa.errors import GoldError
from rag_qa.evaluation.compare.comparison import compare, load_reports
from rag_qa.evaluation.names import GROUPS
from rag_qa.evaluation.results import Report
from rag_qa.files import write_atomically

__all__ = ["BASELINE", "THRESHOLDS", "Gate", "Verdict", "write_baseline"]

THRESHOLDS, BASELINE = "thresholds.toml", "baseline.json"
KEPT_PASSAGES = 3  # of each question, in a baseline


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of thresholds.toml."""

    at_least: dict[str, float] = field(default_factory=dict)
    at_most: dict[str, float] = field(default_factory=dict)
    no_loss: tuple[str, ...] | None = None
    """Measures that must not be significantly worse than in the baseline; None for all."""


class Verdict(Struct, frozen=True):
    """The checks that hold and those that failed, each as a sentence."""

    checked: list[str]
    failed: list[str]

    @property
    def passed(self) -> bool:
        """Returns whether every check holds."""
        return not self.failed


class Gate(Struct, frozen=True):
    """Thresholds and a baseline, of which one may be missing."""

    folder: Path
    thresholds: Thresholds
    baseline: Report | None

    @classmethod
    def load(cls, folder: Path) -> "Gate":
        """Reads the thresholds and the baseline in a folder.

        Raises:
            GoldError: both are missing, or one cannot be used.
        """
        thresholds, path = _load_thresholds(folder / THRESHOLDS), folder / BASELINE
        if thresholds is None and not path.exists():
            raise GoldError(
                f"“{folder}” has neither {THRESHOLDS} nor {BASELINE}: write down what must be reached, or keep a run "
                "with `rag-qa eval --write-baseline`."
            )
        if thresholds is not None and thresholds.no_loss and not path.exists():
            raise GoldError(f"{path} is missing: make it with `rag-qa eval --write-baseline`.")
        try:
            bases = load_reports(path) if path.exists() else []
        except GoldError:
            raise GoldError(f"{path} is no report of this version: `rag-qa eval --write-baseline` makes one.") from None
        if len(bases) > 1:
            raise GoldError(f"{path} holds {len(bases)} reports: a baseline is one.")
        return cls(folder, thresholds or Thresholds(), bases[0] if bases else None)

    def check(self, report: Report) -> Verdict:
        """Checks a report.

        A loss fails if it is significant (p < .05, adjusted for the number of measures that are compared). Questions
        of the baseline that the report lacks fail as well, since their losses would go unnoticed.

        Raises:
            GoldError: a measure is unknown, or the baseline is about other documents or questions.
        """
        checked, failed = list[str](), list[str]()
        for sentence, holds in (*self._thresholds(report), *self._losses(report)):
            (checked if holds else failed).append(sentence)
        return Verdict(checked, failed)

    def _thresholds(self, report: Report) -> Iterator[tuple[str, bool]]:
        wanted = [("least", *each) for each in self.thresholds.at_least.items()]
        wanted += [("most", *each) for each in self.thresholds.at_most.items()]
        for bound, name, limit in wanted:
            if name not in report.figures:
                known = ", ".join(report.figures)
                where = self.folder / THRESHOLDS
                raise GoldError(f"{where} names “{name}”, which this run has not; it has: {known}.")
            value = report.figures[name].value
            holds = value >= limit if bound == "least" else value <= limit
            yield f"{name} is {value:.4f}, and must be at {bound} {limit:g}", holds

    def _losses(self, report: Report) -> Iterator[tuple[str, bool]]:
        if self.baseline is None or self.thresholds.no_loss == ():
            return
        try:
            compared = compare(self.baseline, report, self.thresholds.no_loss or ())
        except GoldError as error:
            again = "`rag-qa eval --write-baseline` makes a new one"
            raise GoldError(f"{self.folder / BASELINE} cannot be compared with ({again}): {error}") from None
        for name, each in compared.measures.items():
            yield (
                f"{name} is {each.value:.4f}, in the baseline {each.base:.4f}: {each.verdict} (difference "
                f"{each.difference.low:+.4f} to {each.difference.high:+.4f}, p = {each.p:.4f})",
                each.verdict != "worse",
            )
        if compared.added:
            yield f"not in the baseline, and not compared: {', '.join(compared.added)}", True
        if compared.missing:
            yield f"in the baseline, and not the same in this run: {', '.join(compared.missing)}", False


def write_baseline(report: Report, folder: Path) -> Path:
    """Writes a report as the baseline, without texts and latencies, which are never compared; returns its path."""
    questions = [
        structs.replace(
            question,
            latency_ms=0.0,
            retrieved=[structs.replace(item, text="") for item in question.retrieved[:KEPT_PASSAGES]],
        )
        for question in report.questions
    ]
    path = folder / BASELINE
    metrics = {name: value for name, value in report.metrics.items() if name not in GROUPS["latency, ms"]}
    slim = structs.replace(report, questions=questions, metrics=metrics)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(slim), indent=1).decode() + "\n")
    return path


def _load_thresholds(path: Path) -> Thresholds | None:
    try:
        return msgspec.toml.decode(path.read_bytes().removeprefix(BOM_UTF8), type=Thresholds)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GoldError(f"{path} cannot be used ({error}): docs/evaluation.md shows what it may say.") from None
