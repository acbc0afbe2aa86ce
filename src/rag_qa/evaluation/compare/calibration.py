"""Fitting confidence to questions with known answers: a calibration for a collection of one's own, or one that ships.

Logistic regression (Platt 1999) in which no sign may count against what it stands for, drawn towards a calibration
that is known already, so that few questions suffice.
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
"""How strongly coefficients are drawn to those that are known."""
LEAST = 5
"""Fewest questions of either kind."""
FOLDS, LEFT_OUT_ALONE = 10, 100
"""Up to so many questions each is left out by itself, above that a tenth at a time."""
SMALL = 1e-12
LEAST_SPREAD = 1e-6


class Example(Struct, frozen=True):
    """The signs of a question, and whether its passages answer it."""

    question: str
    features: ConfidenceFeatures
    right: bool
    answerable: bool


class Model(Struct, frozen=True):
    """Coefficients of the signs' values, in order, and the intercept."""

    coefficients: tuple[float, ...]
    intercept: float

    @classmethod
    def of(cls, calibration: Calibration) -> "Model":
        """That of a calibration."""
        return cls(
            tuple(calibration.coefficients[name] for name in ConfidenceFeatures.__struct_fields__),
            calibration.intercept,
        )

    def confidences(self, values: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """The probabilities of signs' values of shape (n, signs)."""
        confidences: NDArray[np.float64] = _logistic(values @ np.array(self.coefficients) + self.intercept)
        return confidences

    def named(self) -> dict[str, float]:
        """The coefficients by sign."""
        return {
            name: round(value, 6)
            for name, value in zip(ConfidenceFeatures.__struct_fields__, self.coefficients, strict=True)
        }


class Calibrated(Struct, frozen=True):
    """A calibration, and how good it is on questions that it was not fitted on, by cross-validation."""

    calibration: Calibration
    abstention: Abstention
    answered: float
    """Share of the answerable questions that count as answered."""
    recognised: float | None
    """Share of the unanswerable ones that do not; None where there are none."""
    hidden: bool
    """Whether, for want of questions without an answer, it was fitted on questions whose evidence was hidden."""


def calibrate(
    name: str,
    questions: Sequence[GoldQuestion],
    engine: Engine,
    known: Calibration | None,
    progress: Progress,
) -> Calibrated:
    """Fits confidence to gold questions.

    Where fewer than five of them go without a right answer, each is asked again with its evidence hidden.

    Args:
        name: of the questions.
        questions: the gold.
        engine: what is asked.
        known: a calibration to start from.
        progress: told how far it is.

    Raises:
        GoldError: there are not enough questions, or a quote cannot be found.
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
    prior = Model.of(known) if known else None
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
    """What speaks for each question being answered, and whether it is; those of which nothing is found are left out.

    Args:
        questions: the gold.
        engine: what is asked.
        progress: told how far it is.
        hide: ask the answerable questions alone, as if the passages that hold evidence were not there, nor those
            beside them, which count with what they hold, nor others that say the same. How rare words are stays as
            it is.

    Raises:
        GoldError: a quote cannot be found.
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
            right = any(span.overlaps(*place) for span in evidence for place in best)
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
    """The logistic model with the smallest mean loss, none of its coefficients negative.

    Args:
        values: of the signs, of shape (n, signs).
        right: whether each question is answered rightly.
        weights: of the questions; all alike by default.
        prior: what its coefficients are drawn to, in units of the signs' standard deviations; 0 by default.
        pull: how strongly.
    """
    share = np.full(len(values), 1 / len(values)) if weights is None else weights / weights.sum()
    centre = share @ values
    spread = np.sqrt(share @ (values - centre) ** 2)
    known = np.array(prior.coefficients if prior else np.zeros(values.shape[1]))
    varies = spread > LEAST_SPREAD  # of a sign that is the same everywhere nothing can be learned
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
    """The point of the risk-coverage curve with the least risk at which right answers are still let through."""
    shares = None if weights is None else weights[right]
    least = np.quantile(confidences[right], 1 - KEPT, method="inverted_cdf", weights=shares)
    return float(np.floor(least * 1e4) / 1e4)


def _cross_validated(found: Sequence[Example], prior: Model | None) -> "NDArray[np.float64]":
    """The confidence of each example by a model that was fitted on the examples of other questions."""
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
    """Rows of the passages that hold evidence, of their neighbours, and of results that say the same."""
    duplicates = [
        Span(*place)
        for result in results.fused
        if any(span.overlaps(*place) for place in result.spans for span in evidence)
        for place in result.spans
    ]
    hidden = [*evidence, *duplicates]
    rows: set[int] = set()
    for path in {span.document for span in hidden}:
        identity = document_id(path)
        own = engine.collection.rows(identity)
        for place, passage in enumerate(engine.collection.passages(identity)):
            if any(span.overlaps(path, passage.start, passage.end) for span in hidden):
                rows.update(own[max(0, place - 1) : place + 2])
    return sorted(rows)


def _logistic(odds: "NDArray[np.float64]") -> "NDArray[np.float64]":
    logistic: NDArray[np.float64] = expit(odds)
    return logistic
