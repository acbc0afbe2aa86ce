"""Calibration: fits confidence to questions with known answers, for one collection or for the package.

Logistic regression (Platt 1999) with non-negative coefficients, which are drawn towards a known calibration, so that
few questions suffice.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.optimize import minimize
from scipy.special import expit

from rag_qa.answering.confidence import FIELD, Calibration, ConfidenceFeatures, bound_settings
from rag_qa.answering.evidence import weigh
from rag_qa.engine import Engine
from rag_qa.errors import GoldError
from rag_qa.evaluation.gold.gold_file import GoldQuestion, locate
from rag_qa.evaluation.results import Abstention, Span
from rag_qa.evaluation.run.abstention import judge_abstention
from rag_qa.evaluation.run.evaluate import DEFAULT_K
from rag_qa.retrieval.query import read_query
from rag_qa.retrieval.retriever import Results, retrieve
from rag_qa.types import document_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Calibrated", "Example", "Model", "calibrate", "examples", "fit", "threshold_of"]

Progress = Callable[[str, int, int], None]
KEPT = 0.95
"""Share of the right answers that the threshold lets through."""
PULL = 0.05
"""Weight of the squared distance between the coefficients and the known ones."""
LEAST = 5
"""Fewest right answers, and fewest others, that a model is fitted to."""
FOLDS, LEFT_OUT_ALONE = 10, 100
"""Folds of cross-validation; up to LEFT_OUT_ALONE questions, each question is a fold of its own."""
SMALL = 1e-12
LEAST_SPREAD = 1e-6


class Example(Struct, frozen=True):
    """The features of a question, and whether its passages answer it."""

    question: str
    features: ConfidenceFeatures
    right: bool
    answerable: bool


class Model(Struct, frozen=True):
    """A logistic model: the coefficients of the features, in their order, and the intercept."""

    coefficients: tuple[float, ...]
    intercept: float

    @classmethod
    def from_calibration(cls, calibration: Calibration) -> "Model":
        """Returns the model of a calibration."""
        return cls(
            tuple(calibration.coefficients[name] for name in ConfidenceFeatures.__struct_fields__),
            calibration.intercept,
        )

    def confidences(self, values: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """Returns n probabilities for features of shape (n, features)."""
        confidences: NDArray[np.float64] = _logistic(values @ np.array(self.coefficients) + self.intercept)
        return confidences

    def named(self) -> dict[str, float]:
        """Returns the coefficients by name of the feature, rounded to six decimals."""
        return {
            name: round(value, 6)
            for name, value in zip(ConfidenceFeatures.__struct_fields__, self.coefficients, strict=True)
        }


class Calibrated(Struct, frozen=True):
    """A calibration, and its cross-validated measures on questions that it was not fitted on."""

    calibration: Calibration
    abstention: Abstention
    answered: float
    """Share of the answerable questions that count as answered."""
    recognised: float | None
    """Share of the unanswerable questions that count as not answered; None where there are none."""
    hidden: bool
    """True if it was also fitted on questions with their evidence hidden, for want of questions without an answer."""


def calibrate(
    name: str,
    questions: Sequence[GoldQuestion],
    engine: Engine,
    known: Calibration | None,
    progress: Progress,
) -> Calibrated:
    """Fits a calibration to gold questions.

    If fewer than five questions are left without a right answer, the answerable ones are asked again with their
    evidence hidden.

    Args:
        name: the name of the gold.
        questions: the gold questions.
        engine: the engine that answers.
        known: the calibration towards which the new one is drawn; None for zero coefficients.
        progress: called with a stage, the questions done, and their total.

    Raises:
        GoldError: there are not enough questions, or a quote is not in its document.
    """
    found = examples(questions, engine, progress)
    hidden = sum(not each.right for each in found) < LEAST
    if hidden:
        found += examples(questions, engine, progress, hide=True)
    right = np.array([each.right for each in found])
    if min(right.sum(), (~right).sum()) < LEAST:
        raise GoldError(
            f"{int(right.sum())} questions are answered rightly and {int((~right).sum())} are not: calibrating needs "
            f"{LEAST} of either kind; add questions."
        )
    prior = Model.from_calibration(known) if known else None
    confidences = _cross_validated(found, prior)
    values = np.array([each.features.values for each in found])
    model = fit(values, right, prior=prior)
    threshold = threshold_of(confidences, right)
    answered = confidences >= threshold
    answerable = np.array([each.answerable for each in found])
    calibration = Calibration(
        coefficients=model.named(),
        intercept=round(model.intercept, 6),
        threshold=threshold,
        encoder=engine.info.encoder.model,
        settings=bound_settings(engine.settings),
        questions=len(found),
        source=name,
    )
    return Calibrated(
        calibration,
        judge_abstention("confidence", confidences.tolist(), answered.tolist(), right.tolist()),
        answered=float(answered[answerable].mean()),
        recognised=None if answerable.all() else float((~answered[~answerable]).mean()),
        hidden=hidden,
    )


def examples(
    questions: Sequence[GoldQuestion], engine: Engine, progress: Progress, *, hide: bool = False
) -> list[Example]:
    """Asks gold questions and returns their features with whether the answer is right; skips those without a result.

    Args:
        questions: the gold questions.
        engine: the engine that answers.
        progress: called with a stage, the questions done, and their total.
        hide: ask the answerable questions only, and hide the passages that hold evidence, their duplicates, and the
            neighbours of both, whose score counts the terms of passages beside them. The statistics of the terms do
            not change.

    Raises:
        GoldError: a quote is not in its document.
    """
    spans = locate(questions, engine)
    chosen = [question for question in questions if question.answerable or not hide]
    found: list[Example] = []
    for done, question in enumerate(chosen):
        progress("asking", done, len(chosen))
        evidence = spans[question.id]
        query = read_query(question.question, engine.searcher)
        results = retrieve(query, None, FIELD, engine.searcher)
        if hide:
            results = retrieve(query, None, FIELD, engine.searcher, _rows_of(evidence, results, engine))
        features = weigh(query, results, 0, engine.index).features
        if features is not None:
            best = [span for result in results.fused[:DEFAULT_K] for span in result.spans]
            right = any(span.overlaps(*other) for span in evidence for other in best)
            found.append(
                Example(question.id, features, right and question.answerable, question.answerable and not hide)
            )
    progress("asking", len(chosen), len(chosen))
    return found


def fit(
    values: "NDArray[np.float64]",
    right: "NDArray[np.bool_]",
    weights: "NDArray[np.float64] | None" = None,
    prior: Model | None = None,
    pull: float = PULL,
) -> Model:
    """Returns the logistic model with the smallest mean loss and no negative coefficient.

    Args:
        values: features of shape (n, features).
        right: whether each question is answered rightly, of shape (n,).
        weights: weights of the questions, of shape (n,); equal by default.
        prior: the model towards whose coefficients the new ones are drawn; zero by default. Distances are in units of
            the features' standard deviations.
        pull: weight of the squared distance.
    """
    share = np.full(len(values), 1 / len(values)) if weights is None else weights / weights.sum()
    centre = share @ values
    spread = np.sqrt(share @ (values - centre) ** 2)
    known = np.array(prior.coefficients if prior else np.zeros(values.shape[1]))
    varies = spread > LEAST_SPREAD  # a constant feature keeps its known coefficient
    scaled = (values - centre)[:, varies] / spread[varies]
    target = (known * spread)[varies]
    truth = right.astype(float)

    def loss(parameters: "NDArray[np.float64]") -> "tuple[float, NDArray[np.float64]]":
        slopes, intercept = parameters[:-1], parameters[-1]
        predicted = _logistic(scaled @ slopes + intercept)
        likelihood = truth * np.log(predicted + SMALL) + (1 - truth) * np.log(1 - predicted + SMALL)
        off = share * (predicted - truth)
        gradient = np.append(scaled.T @ off + 2 * pull * (slopes - target), off.sum())
        return float(-(share @ likelihood) + pull * ((slopes - target) ** 2).sum()), gradient

    bounds = [*((0.0, None) for _ in target), (None, None)]
    start = np.append(np.maximum(target, 0), 0.0)
    parameters = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = known.copy()
    slopes[varies] = parameters[:-1] / spread[varies]
    return Model(tuple(slopes.tolist()), float(parameters[-1] - slopes[varies] @ centre[varies]))


def threshold_of(
    confidences: "NDArray[np.float64]", right: "NDArray[np.bool_]", weights: "NDArray[np.float64] | None" = None
) -> float:
    """Returns the largest threshold that lets a share KEPT of the right answers through, rounded down to four decimals.

    It is the point of the risk-coverage curve that has the least risk at this share.

    Args:
        confidences: confidences of shape (n,).
        right: whether each question is answered rightly, of shape (n,).
        weights: weights of the questions, of shape (n,); equal by default.
    """
    shares = None if weights is None else weights[right]
    least = np.quantile(confidences[right], 1 - KEPT, method="inverted_cdf", weights=shares)
    return float(np.floor(least * 1e4) / 1e4)


def _cross_validated(found: Sequence[Example], prior: Model | None) -> "NDArray[np.float64]":
    """Returns the confidence of each example, by a model fitted to the examples of other questions."""
    values = np.array([each.features.values for each in found])
    right = np.array([each.right for each in found])
    names = sorted({each.question for each in found})
    folds = len(names) if len(names) <= LEFT_OUT_ALONE else FOLDS
    fold_of: Mapping[str, int] = {
        names[place]: number % folds for number, place in enumerate(np.random.default_rng(0).permutation(len(names)))
    }
    fold = np.array([fold_of[each.question] for each in found])
    confidences = np.zeros(len(found))
    for number in range(folds):
        inside = fold == number
        model = fit(values[~inside], right[~inside], prior=prior)
        confidences[inside] = model.confidences(values[inside])
    return confidences


def _rows_of(evidence: Sequence[Span], results: Results, engine: Engine) -> list[int]:
    """Returns the rows of the passages that hold evidence, of their neighbours, and of their duplicates."""
    duplicates = [
        Span(*other)
        for result in results.fused
        if any(span.overlaps(*other) for other in result.spans for span in evidence)
        for other in result.spans
    ]
    hidden = [*evidence, *duplicates]
    rows: set[int] = set()
    for path in {span.path for span in hidden}:
        identity = document_id(path)
        own = engine.collection.rows(identity)
        for number, passage in enumerate(engine.collection.passages(identity)):
            if any(span.overlaps(path, passage.start, passage.end) for span in hidden):
                rows.update(own[max(0, number - 1) : number + 2])
    return sorted(rows)


def _logistic(odds: "NDArray[np.float64]") -> "NDArray[np.float64]":
    logistic: NDArray[np.float64] = expit(odds)
    return logistic
