"""Indexes for tests: built with the encoder that this process has loaded, and copied to be changed."""

import os
import shutil
from functools import cache
from pathlib import Path

import rag_qa
from rag_qa import Settings
from rag_qa.models.hardware import best_precision
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


def copy_index(source: Path, target: Path) -> Path:
    """An index to change, except for the files of its encoder: 90 megabytes, which it has links to."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("encoder"))
    link_encoder(source, target)
    return target


def link_encoder(source: Path, target: Path) -> None:
    """Gives an index, which need not be there yet, the exported encoder of another."""
    shutil.copytree(source / "encoder", target / "encoder", copy_function=os.link)
