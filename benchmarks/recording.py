"""Helpers of all benchmarks: tables, and results stored as JSON with the machine, the versions and the commit."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("rag_qa", "onnxruntime", "torch", "faiss-cpu", "tantivy", "sentence-transformers", "txtai")

Row = Mapping[str, object]


def table(rows: Sequence[Row]) -> None:
    """Prints rows as a table with the columns of the first."""
    shown = [list(rows[0]), *([_shown(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in shown) for column in range(len(shown[0]))]
    for line in shown:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)), flush=True)


def record(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows to a file, with the machine that they were measured on."""
    path.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", "utf-8")


def machine() -> dict[str, object]:
    """Returns processor, system, versions and commit."""
    model = [line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "processor": model[0].partition(":")[2].strip() if model else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "commit": commit.stdout.strip(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
