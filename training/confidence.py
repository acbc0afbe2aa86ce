"""Fits the calibration that the package contains, and writes it there; see README.md.

    python training/confidence.py COLLECTION… [--gold FILE --index DIR] [--test COLLECTION…] [--write]

Each collection is a folder of documents/ and gold.jsonl. Questions that cannot be answered are made in two ways: by
hiding the passages that hold the evidence, and by asking the questions of one collection of another. Every collection
is judged by a model that is fitted to the others; those of --test are only judged.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from arguments import read_arguments, silent
from msgspec import Struct, structs

from rag_qa.answering.confidence import Calibration, bound_settings
from rag_qa.evaluation.compare.calibration import Example, Model, examples, fit, threshold_of
from rag_qa.evaluation.run.abstention import judge_abstention
from rag_qa.evaluation.run.subjects import Subject

TARGET = Path(__file__).parents[1] / "src" / "rag_qa" / "answering" / "confidence.json"
FOREIGN = 60  # questions from each of the other collections
SHARES = {"answered": 0.5, "hidden": 0.3, "foreign": 0.15, "unanswerable": 0.05}
"""Weight of each kind of question."""
PULL = 0.02


class Kinds(Struct, frozen=True):
    """Examples of a collection by kind of question."""

    answered: list[Example]
    missed: list[Example]
    """Answerable questions that the first passages do not answer: judged, but not fitted to."""
    hidden: list[Example]
    foreign: list[Example]
    unanswerable: list[Example]


def gather(subject: Subject, others: Sequence[Subject]) -> Kinds:
    """Asks a collection its own questions, those with hidden evidence, and some of the other collections."""
    random = np.random.default_rng(0)
    real = examples(subject.gold, subject.engine, silent)
    foreign = []
    for other in others:
        answerable = [question for question in other.gold if question.answerable]
        chosen = random.choice(len(answerable), min(FOREIGN, len(answerable)), replace=False)
        foreign += [structs.replace(answerable[place], answerable=False, evidence=()) for place in chosen]
    return Kinds(
        answered=[each for each in real if each.right],
        missed=[each for each in real if each.answerable and not each.right],
        hidden=examples(subject.gold, subject.engine, silent, hide=True),
        foreign=examples(foreign, subject.engine, silent),
        unanswerable=[each for each in real if not each.answerable],
    )


def train(collections: Sequence[Kinds]) -> tuple[Model, int]:
    """Fits a model to all collections with equal weight; returns it with the number of questions."""
    chosen: list[Example] = []
    weights: list[float] = []
    for kinds in collections:
        for kind, share in SHARES.items():
            some: list[Example] = getattr(kinds, kind)
            chosen += some
            weights += [share / len(some) for _ in some]
    values = np.array([each.features.values for each in chosen])
    return fit(values, np.array([each.right for each in chosen]), np.array(weights), pull=PULL), len(chosen)


def judge(name: str, kinds: Kinds, model: Model) -> None:
    """Prints how well the model tells the kinds apart."""
    real = [*kinds.answered, *kinds.missed, *kinds.unanswerable]
    for label, others in {
        "real": real,
        "hidden": [*kinds.answered, *kinds.hidden],
        "foreign": [*kinds.answered, *kinds.foreign],
    }.items():
        confidences = model.confidences(np.array([each.features.values for each in others])).tolist()
        right = [each.right for each in others]
        metrics = judge_abstention("confidence", confidences, right, right).metrics
        told = "  ".join(f"{each} {metrics[each].value:.3f}" for each in ("auroc", "ece") if each in metrics)
        print(f"{name:24}{label:10}{len(others):5} questions  {told}")


def main() -> None:
    arguments = read_arguments(__doc__)
    subjects = arguments.subjects
    found = {
        subject.name: gather(subject, [other for other in subjects if other is not subject]) for subject in subjects
    }
    for name, kinds in found.items():
        judge(name, kinds, train([found[other] for other in arguments.trained_on if other != name])[0])
    model, questions = train([found[name] for name in arguments.trained_on])
    print(model.named(), "fitted on", ", ".join(arguments.trained_on))
    answered = [each for name in arguments.trained_on for each in found[name].answered]
    confidences = model.confidences(np.array([each.features.values for each in answered]))
    weights = np.concatenate(
        [np.full(len(found[name].answered), 1 / len(found[name].answered)) for name in arguments.trained_on]
    )
    calibration = Calibration(
        coefficients=model.named(),
        intercept=round(model.intercept, 6),
        threshold=threshold_of(confidences, np.ones(len(confidences), dtype=bool), weights),
        encoder=subjects[0].engine.info.encoder.model,
        settings=bound_settings(subjects[0].engine.settings),
        questions=questions,
        source=", ".join(arguments.trained_on),
    )
    print("threshold", calibration.threshold)
    if arguments.write:
        TARGET.write_bytes(msgspec.json.format(msgspec.json.encode(calibration)) + b"\n")


if __name__ == "__main__":
    main()
