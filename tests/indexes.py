"""Copies of an index, whose encoder is 90 megabytes that hardly a test changes: they have links to its files."""

import os
import shutil
from pathlib import Path


def copy_index(source: Path, target: Path) -> Path:
    """An index to change, except for the files of its encoder."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("encoder"))
    link_encoder(source, target)
    return target


def link_encoder(source: Path, target: Path) -> None:
    """Gives an index, which need not be there yet, the exported encoder of another."""
    shutil.copytree(source / "encoder", target / "encoder", copy_function=os.link)
