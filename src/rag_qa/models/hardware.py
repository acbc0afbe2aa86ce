"""The precision that the machine computes fastest, for the vectors of a new index."""

import importlib.util
import re
import sys
from pathlib import Path

from rag_qa.types import Precision

__all__ = ["accelerator", "best_precision"]

PROCESSOR = Path("/proc/cpuinfo")
PRODUCTS_OF_BYTES = {"avx512_vnni", "avx_vnni"}
"""Instructions, as Linux names them, without which products of 8 bits are slower than those of single precision."""


def best_precision() -> Precision:
    """Returns 8 bits where they are known to be faster: docs/decisions/0021-encoding.md; elsewhere single precision."""
    return "int8" if not accelerator() and _multiplies_bytes() else "float32"


def accelerator() -> bool:
    """Returns whether torch sees an accelerator; torch is imported only where its build could."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    built_for = Path(spec.origin).with_name("version.py").read_text("utf-8")
    if not re.search(r"^(cuda|hip|xpu)\b.*= *'", built_for, re.MULTILINE) and sys.platform != "darwin":
        return False
    import torch

    return torch.accelerator.is_available()


def _multiplies_bytes() -> bool:
    if not PROCESSOR.is_file():  # only Linux has it
        return False
    return not PRODUCTS_OF_BYTES.isdisjoint(PROCESSOR.read_text("utf-8", "replace").split())
