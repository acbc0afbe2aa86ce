"""Ablation: compares an engine with variants of it in which a stage is off or has other settings."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from rag_qa.engine import Engine
from rag_qa.errors import InputError
from rag_qa.evaluation.compare.comparison import Paired, paired
from rag_qa.evaluation.names import LATENCY, MEASURED
from rag_qa.evaluation.results import Aggregate, Evaluation
from rag_qa.evaluation.run.evaluate import ask_in_turns
from rag_qa.evaluation.run.subjects import Subject
from rag_qa.evaluation.statistics import aggregate
from rag_qa.files import link
from rag_qa.indexer.build import Progress, index_documents
from rag_qa.types import Document

__all__ = ["Ablation", "Row", "Variant", "ablate", "variants"]

WEIGHTS = (0.2, 0.4, 0.5, 0.6, 0.8)
PASSAGE_SIZES = (100, 150, 200, 300, 400)
FOLDER = "ablation"
"""Folder in an index that holds the indexes of variants; it may be deleted at any time."""


class Variant(Struct, frozen=True):
    """A change of one stage: the settings that differ from the default."""

    stage: str
    name: str
    settings: dict[str, Any]
    reindexed: bool = False
    """Returns whether the variant needs an index of its own."""


class Row(Struct, frozen=True):
    """Results of a variant, and its differences from the default."""

    variant: Variant
    figures: dict[str, Aggregate]
    against: dict[str, Paired]
    """Differences by measure; empty for the default itself. The p values are adjusted for all tests of quality in the
    table, or for all of latency."""


class Ablation(Struct, frozen=True):
    """Results of an ablation: a row for the default, and a row for each variant."""

    collection: str
    snapshot: str
    questions: int
    rows: list[Row]


def variants(engine: Engine, stages: Sequence[str] = ()) -> list[Variant]:
    """Returns the variants whose settings differ from those of an engine.

    Args:
        engine: the default.
        stages: the stages to vary; empty for all.

    Raises:
        InputError: a stage is unknown.
    """
    window = engine.info.encoder.window
    found = [
        Variant("search", "dense only", {"dense_weight": 1.0}),
        Variant("search", "lexical only", {"dense_weight": 0.0}),
        *(Variant("fusion", f"dense weight {weight}", {"dense_weight": weight}) for weight in WEIGHTS),
        Variant("coverage", "BM25 only", {"word_coverage": False}),
        Variant("acronyms", "not expanded", {"expand_acronyms": False}),
        Variant("duplicates", "each shown", {"collapse_duplicates": False}),
        Variant("variety", "near copies stay", {"variety": False}),
        Variant("sentences", "passage vectors only", {"sentence_scores": False}),
        Variant("highlights", "words only", {"highlights": "words"}),
        Variant("highlights", "vectors only", {"highlights": "vectors"}),
        Variant("context", "no title, no headings", {"context_tokens": 0}, reindexed=True),
        *(
            Variant("passages", f"{size} tokens", {"passage_tokens": size}, reindexed=True)
            for size in PASSAGE_SIZES
            if size < window
        ),
    ]
    if engine.settings.reranker:
        found.append(Variant("reranking", "none", {"reranker": ""}))
    if engine.info.approximate:
        found.append(Variant("graph", "exact search", {"exact_search": True}))
    known = list(dict.fromkeys(variant.stage for variant in found))
    if unknown := [stage for stage in stages if stage not in known]:
        raise InputError(f"There is no stage “{unknown[0]}” to leave out here; there are: {', '.join(known)}.")
    now = structs.asdict(engine.settings)
    return [
        variant
        for variant in found
        if (not stages or variant.stage in stages)
        and any(now[name] != value for name, value in variant.settings.items())
    ]


def ablate(subject: Subject, chosen: Sequence[Variant], progress: Progress) -> tuple[Evaluation, Ablation]:
    """Evaluates the default and every variant on the same questions.

    Returns:
        The evaluation of the default, and the ablation.
    """
    default = Variant("default", "as it is", {})
    with ExitStack() as held:
        engines = {each.name: _engine(subject.engine, each, progress, held) for each in (default, *chosen)}
        answers = ask_in_turns(engines, subject.questions, progress)
        evaluation = subject.judge(engines[default.name], answers.pop(default.name), progress)
        base = _values(evaluation)
        values = {
            each.name: _values(subject.judge(engines[each.name], answers.pop(each.name), progress)) for each in chosen
        }
    # Nearly every difference in latency is significant: in one family with the others it would lower their p values.
    tests: dict[tuple[str, str], Paired] = {}
    for family in ([name for name in base if name != LATENCY], [LATENCY]):
        keys = [(each.name, measure) for each in chosen for measure in family]
        found = paired([(measure, base[measure], values[name][measure]) for name, measure in keys])
        tests |= dict(zip(keys, found, strict=True))
    rows = [
        Row(
            variant,
            {measure: aggregate(each) for measure, each in (values.get(variant.name) or base).items()},
            {measure: tests[variant.name, measure] for measure in base if variant is not default},
        )
        for variant in (default, *chosen)
    ]
    answerable = sum(question.answerable for question in evaluation.questions)
    return evaluation, Ablation(subject.name, subject.engine.info.id, answerable, rows)


def _values(evaluation: Evaluation) -> dict[str, list[float]]:
    """Returns the values of the answerable questions by measure, and the latencies of all questions."""
    answerable = [question.measures for question in evaluation.questions if question.answerable]
    values = {name: [measures[name] for measures in answerable] for name in MEASURED if name in answerable[0]}
    return values | {LATENCY: [question.latency_ms for question in evaluation.questions]}


def _engine(engine: Engine, variant: Variant, progress: Progress, held: ExitStack) -> Engine:
    if not variant.reindexed:
        return engine.with_settings(**variant.settings)
    index = engine.index.folder
    if not os.access(index, os.W_OK):
        raise InputError(
            f"The stage {variant.stage} needs an index of its own in “{index / FOLDER}”, which cannot be written: "
            "choose others with --stage, or copy the index."
        )
    settings = structs.replace(engine.settings, **variant.settings, keep_snapshots=1)
    folder = index / FOLDER / "-".join(f"{name}-{value}" for name, value in variant.settings.items())
    _share_encoder(engine.index.encoder_folder, folder)
    index_documents(_Documents(engine), folder, settings, progress, cache=index / "cache")
    return held.enter_context(Engine.open(folder, settings, engine.searcher.encoder))


class _Documents:
    """The indexed documents in order, each with a digest of its whole record in place of that of its file."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __iter__(self) -> Iterator[Document]:
        for info, _ in self._engine.collection.documents():
            document = self._engine.collection.document(info.id)
            yield structs.replace(document, sha256=hashlib.sha256(msgspec.msgpack.encode(document)).hexdigest())


def _share_encoder(encoder: Path, folder: Path) -> None:
    """Copies the exported encoder of an index to another, by hard links where the file system has them."""
    target = folder / "encoder" / encoder.name
    if not target.is_dir():
        shutil.copytree(encoder, target, copy_function=lambda source, copy: link(Path(source), Path(copy)))
