"""The last report of an index, stored beside its snapshots for the page about the collection."""

from pathlib import Path

import msgspec
from msgspec import structs

from rag_qa.engine import Engine
from rag_qa.errors import write_errors
from rag_qa.evaluation.results import Report
from rag_qa.files import write_atomically
from rag_qa.schemas import json_decoder

__all__ = ["keep_report", "kept_report"]

FILE = "evaluation.json"

_REPORTS = json_decoder(Report)


def keep_report(index: Path, report: Report) -> Path:
    """Stores a report in the folder of the index, replacing an older one; returns its path.

    Raises:
        WriteError: the file cannot be written.
    """
    path = index / FILE
    with write_errors(path, OSError):
        write_atomically(path, msgspec.json.encode(report).decode())
    return path


def kept_report(index: Path, engine: Engine) -> Report | None:
    """Returns the stored report if it is about the engine's snapshot and settings; otherwise None."""
    path = index / FILE
    try:
        if not path.is_file():  # reading a pipe would block
            return None
        report = _REPORTS.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    settings = structs.asdict(engine.settings)
    same = all(settings[name] == value for name, value in report.settings.items() if name in settings)
    return report if same and report.snapshot == engine.info.id else None
