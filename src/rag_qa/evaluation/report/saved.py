"""The last evaluation of an index by gold questions, kept beside its snapshots for whoever looks at the collection."""

from pathlib import Path

import msgspec
from msgspec import structs

from rag_qa.engine import Engine
from rag_qa.errors import WriteError
from rag_qa.evaluation.results import Report
from rag_qa.files import write_atomically

__all__ = ["keep_report", "kept_report"]

FILE = "evaluation.json"

# Made when the module is: msgspec crashes where two threads are the first to decode a type.
_REPORTS = msgspec.json.Decoder(Report)


def keep_report(index: Path, report: Report) -> Path:
    """Keeps a report in the folder of the index, in the place of an older one; gives where.

    Raises:
        WriteError: it cannot be written.
    """
    path = index / FILE
    try:
        write_atomically(path, msgspec.json.encode(report).decode())
    except OSError as error:
        raise WriteError(path, error) from None
    return path


def kept_report(index: Path, engine: Engine) -> Report | None:
    """The report of what an engine answers, if the last evaluation was of its snapshot with its settings."""
    path = index / FILE
    try:
        if not path.is_file():  # a pipe would never end
            return None
        report = _REPORTS.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    settings = structs.asdict(engine.settings)
    same = all(settings[name] == value for name, value in report.settings.items() if name in settings)
    return report if same and report.snapshot == engine.info.id else None
