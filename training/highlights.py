"""Trains the scorer of highlights that the package contains, and writes it there; see README.md.

    python training/highlights.py COLLECTION… [--gold FILE --index DIR] [--test COLLECTION…] [--write]

Each collection is a folder of documents/ and gold.jsonl. Every one is judged by a scorer that is trained on the others;
those of --test are only judged.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from arguments import read_arguments
from msgspec import Struct
from numpy.typing import NDArray
from scipy.optimize import minimize

from rag_qa.answering.evidence import weigh
from rag_qa.answering.highlights import FEATURES, Scorer, features, mark
from rag_qa.engine import Engine
from rag_qa.evaluation.gold.gold_file import locate
from rag_qa.evaluation.run.subjects import Subject
from rag_qa.retrieval.query import read_query
from rag_qa.retrieval.retriever import retrieve
from rag_qa.types import Passage

TARGET = Path(__file__).parents[1] / "src" / "rag_qa" / "answering" / "highlights.json"
LOOKED_AT = 3  # passages of a question
RIDGE = 0.01
# Chosen so that at most 40 % of a passage is marked: docs/decisions/0016-highlights.md.
LENGTH_COST, SECOND, MOST = 0.5, 0.45, 0.45


class Example(Struct, frozen=True):
    """A passage with the features of its sentences, of shape (n, features), and which of them hold evidence, (n,)."""

    passage: Passage
    features: NDArray[np.float64]
    right: NDArray[np.bool_]


def gather(subject: Subject) -> list[list[Example]]:
    """Returns for each answerable question its first passages, at most LOOKED_AT."""
    spans = locate(subject.gold, subject.engine)
    return [list(_examples(subject.engine, each.question, spans[each.id])) for each in subject.gold if each.answerable]


def _examples(engine: Engine, question: str, spans: Sequence) -> Iterator[Example]:
    query = read_query(question, engine.searcher)
    results = retrieve(query, None, LOOKED_AT, engine.searcher)
    evidence = weigh(query, results, LOOKED_AT, engine.index)
    for result in results.fused[:LOOKED_AT]:
        right = [
            any(span.overlaps(result.document.path, start, end) for span in spans)
            for start, end in result.passage.sentences
        ]
        yield Example(result.passage, features(evidence.sentences[result.hit.row]), np.array(right))


def train(collections: Sequence[Sequence[Sequence[Example]]]) -> Scorer:
    """Fits the coefficients that make the right sentences likeliest (softmax), all collections with equal weight.

    Args:
        collections: for each collection, for each question, its first passages.
    """
    blank = Scorer(dict.fromkeys(FEATURES, 0.0), LENGTH_COST, SECOND, MOST)
    groups = [
        (each.features, blank.scores(each.features, _lengths(each)), each.right / each.right.sum(), 1 / len(questions))
        for questions in collections
        for passages in questions
        for each in passages
        if each.right.any() and len(each.right) > 1
    ]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, gradient = RIDGE * weights @ weights, 2 * RIDGE * weights
        for found, offset, right, share in groups:
            odds = found @ weights + offset
            odds -= odds.max()
            log_chances = odds - np.log(np.exp(odds).sum())
            total -= share * right @ log_chances
            gradient = gradient + share * (found.T @ (np.exp(log_chances) - right))
        return total, gradient

    weights = minimize(loss, np.zeros(len(FEATURES)), jac=True, method="L-BFGS-B").x
    return msgspec.structs.replace(blank, coefficients=dict(zip(FEATURES, weights.round(3).tolist(), strict=True)))


def judge(questions: Sequence[Sequence[Example]], scorer: Scorer) -> dict[str, float]:
    """Returns how often the highlights hold evidence, in the first passage and in any, and the share they mark."""
    firsts = [passages[0] for passages in questions if passages]
    hits = [_hits(each, scorer) for each in firsts]
    relevant = [hit for hit, each in zip(hits, firsts, strict=True) if each.right.any()]
    any_of_three = [any(_hits(each, scorer) for each in passages) for passages in questions]
    return {
        "of all": float(np.mean(hits)),
        "of relevant": float(np.mean(relevant)),
        "of three": float(np.mean(any_of_three)),
        "marked": float(np.mean([_share(each, scorer) for each in firsts])),
    }


def _hits(each: Example, scorer: Scorer) -> bool:
    marks = {(found.start, found.end) for found in mark(each.passage, each.features, scorer)}
    return any(right and span in marks for span, right in zip(each.passage.sentences, each.right, strict=True))


def _share(each: Example, scorer: Scorer) -> float:
    marks = mark(each.passage, each.features, scorer)
    return sum(found.end - found.start for found in marks) / (each.passage.end - each.passage.start)


def _lengths(each: Example) -> list[int]:
    return [end - start for start, end in each.passage.sentences]


def main() -> None:
    arguments = read_arguments(__doc__)
    found = {subject.name: gather(subject) for subject in arguments.subjects}
    for name, questions in found.items():
        scorer = train([found[other] for other in arguments.trained_on if other != name])
        figures = judge(questions, scorer)
        print(f"{name:24}", "  ".join(f"{label} {value:.3f}" for label, value in figures.items()))
    scorer = train([found[name] for name in arguments.trained_on])
    print(scorer.coefficients, "trained on", ", ".join(arguments.trained_on))
    if arguments.write:
        TARGET.write_bytes(msgspec.json.format(msgspec.json.encode(scorer)) + b"\n")


if __name__ == "__main__":
    main()
