"""onnxruntime without its telemetry: the only file that imports it.

Its Linux builds look for a host of their maker's and keep an id of the machine, unless a variable of the environment
says otherwise when the library is loaded; the function that it has for this leaves the rest of it running.
"""

import os
from types import ModuleType
from typing import cast

__all__ = ["load_quantizer", "load_runtime"]

SILENT = {"ORT_DISABLE_TELEMETRY": "1"}


def load_runtime() -> ModuleType:
    """Loads onnxruntime, without its telemetry."""
    os.environ.update(SILENT)
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return cast("ModuleType", onnxruntime)


def load_quantizer() -> ModuleType:
    """The quantizer of the weights of matrix products."""
    load_runtime()
    from onnxruntime.quantization import matmul_nbits_quantizer

    return cast("ModuleType", matmul_nbits_quantizer)
