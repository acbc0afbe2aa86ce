"""The engines that the conformance suite runs over, as it takes them."""

from importlib import import_module

from support.memory_index import MemoryEngine

from rag_qa.index import open_history, open_index, open_writer
from rag_qa.models.onnx_encoder import CONFIG, ExportConfig

ENGINES = ("support.engines:LocalEngine", "support.engines:MemoryEngine")

__all__ = ["ENGINES", "LocalEngine", "MemoryEngine", "engine_factory"]


def engine_factory(named):
    """The factory that `module:factory` names."""
    module, _, factory = named.partition(":")
    return getattr(import_module(module), factory)


class LocalEngine:
    """The local engine over one folder."""

    def __init__(self, folder):
        self.folder = folder / "index"
        encoder = self.folder / "encoder" / ("0" * 16)  # an export of no files, for the vectors are at hand
        encoder.mkdir(parents=True)
        export = ExportConfig("0" * 16, "float32", 8, 256, "", "", 0, 1.0, {})
        (encoder / CONFIG).write_bytes(export.sealed().encoded())

    def open_index(self, then):
        return open_index(self.folder, then)

    def open_writer(self, settings, progress, **options):
        return open_writer(self.folder, settings, progress, **options)

    def open_history(self):
        return open_history(self.folder)

    def files(self):
        """The files of the current snapshot, none of which may change unseen; all are small here."""
        folder = self.folder / "snapshots" / self.open_history().current()
        return sorted(path for path in folder.rglob("*") if path.is_file())
