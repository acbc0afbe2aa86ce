"""Indexes for tests: built and opened with encoders that this process has loaded, and copied to be changed."""

import os
import shutil
from functools import cache
from pathlib import Path

import rag_qa
from rag_qa import Engine, Settings
from rag_qa.index import open_history
from rag_qa.models.hardware import best_precision
from rag_qa.models.onnx_encoder import CONFIG, MODEL, TOKENIZER, OnnxEncoder
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER


@cache
def default_encoder() -> SentenceEncoder:
    """The encoder that an index has by default on this machine."""
    return SentenceEncoder.from_name(DEFAULT_ENCODER, best_precision())


def build(paths, index, settings=None, progress=None, *, encoder=None, **options):
    """As `rag_qa.build`, with the default encoder of this process where that is the one that is wanted.

    Files are parsed by one process unless settings ask for more: a second one costs more than the files of a test.
    """
    wanted = settings or Settings(readers=1)
    if encoder is None and (wanted.encoder, wanted.precision) == (DEFAULT_ENCODER, "auto"):
        encoder = default_encoder()
    return rag_qa.build(paths, index, wanted, progress, encoder=encoder, **options)


def open_engine(index, settings=None, encoder=None, reranker=None) -> Engine:
    """As `Engine.open`, with the exported encoder of the index as this process has loaded it."""
    history = open_history(index)
    digest = history.details(history.current()).info.encoder.digest
    return Engine.open(index, settings, encoder or _loaded(Path(index) / "encoder" / digest), reranker)


_ENCODERS: dict[tuple[object, ...], OnnxEncoder] = {}


def _loaded(folder: Path) -> OnnxEncoder:
    """An exported encoder; most indexes have links to the same files, which are loaded once."""
    OnnxEncoder.check(folder)
    found = [(folder / name).stat() for name in (MODEL, TOKENIZER, CONFIG)]
    key = tuple((file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns) for file in found)
    if key not in _ENCODERS:
        _ENCODERS[key] = OnnxEncoder.open(folder)
    return _ENCODERS[key]


def copy_index(source: Path, target: Path) -> Path:
    """An index to change, except for the files of its encoder: 90 megabytes, which it has links to."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("encoder"))
    link_encoder(source, target)
    return target


def link_encoder(source: Path, target: Path) -> None:
    """Gives an index, which need not be there yet, the exported encoder of another."""
    shutil.copytree(source / "encoder", target / "encoder", copy_function=os.link)
