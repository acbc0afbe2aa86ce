"""Questions and passages to unit vectors without torch: an encoder's ONNX export, run by onnxruntime.

How exports are made, and where they are kept: export.py.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import msgspec
import numpy as np
from msgspec import Struct

from rag_qa.errors import IndexDamagedError
from rag_qa.files import FileRecord, damaged, is_whole
from rag_qa.models.runtime import load_runtime
from rag_qa.models.sentence_transformer import load_tokenizer
from rag_qa.schemas import json_decoder
from rag_qa.types import Precision

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Encoding

__all__ = ["CONFIG", "MODEL", "OUTPUT", "TOKENIZER", "ExportConfig", "OnnxEncoder", "batches_by_length"]

CONFIG, MODEL, TOKENIZER = "encoder.json", "model.onnx", "tokenizer.json"
OUTPUT = "unit_vector"
ADVICE = "run `rag-qa index` on the documents again to export it anew"
# Chosen by benchmarks/encoding.py: docs/decisions/0021-encoding.md.
THREADS = min(2, os.cpu_count() or 1)
"""Threads that share the work of one question."""
TOKENS_TOGETHER: dict[Precision, int] = {"int8": 1, "float32": 512}
"""Tokens that go through the model at once, or one passage if that is longer. Where numbers are rounded to whole
ones, the last digit that another batch changes may turn many: alone, a text has the same vector bit for bit, always."""


class ExportConfig(Struct, frozen=True):
    """The description of an export."""

    digest: str
    precision: Precision
    dimension: int
    window: int
    query_prompt: str
    passage_prompt: str
    padding: int
    """The token that fills up the shorter texts of a batch."""
    lowest_cosine: float
    """Lowest cosine to the original, of the passages that it was compared on."""
    files: dict[str, FileRecord]
    checksum: str = ""

    def sealed(self) -> "ExportConfig":
        """A copy with a checksum over all other fields."""
        plain = msgspec.structs.replace(self, checksum="")
        return msgspec.structs.replace(self, checksum=hashlib.sha256(msgspec.msgpack.encode(plain)).hexdigest())

    def encoded(self) -> bytes:
        """The bytes as they are written."""
        return msgspec.json.format(msgspec.json.encode(self))


class OnnxEncoder:
    """Encodes questions, or passages; safe to share between threads."""

    def __init__(self, folder: Path, config: ExportConfig, threads: int = THREADS) -> None:
        onnxruntime = load_runtime()
        self._folder = folder
        self._config = config
        self._tokenizer = load_tokenizer(folder / TOKENIZER)
        self._tokenizer.enable_truncation(config.window)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(folder / MODEL), options, providers=["CPUExecutionProvider"])
        self._inputs = [node.name for node in self._session.get_inputs()]

    @classmethod
    def open(cls, folder: Path, threads: int = THREADS) -> "OnnxEncoder":
        """Loads an export, or takes the encoder of the same files that is still in use, as by an older snapshot.

        Errors as `check`, and the same if it does not load.

        Args:
            folder: of the export.
            threads: that share the work of one batch; passages are best encoded by one thread each.
        """
        config = cls.check(folder)
        files = [(folder / name).stat() for name in (MODEL, TOKENIZER, CONFIG)]
        key = (threads, *((file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns) for file in files))
        if (opened := _OPENED.get(key)) is not None:
            return opened
        try:
            opened = _OPENED[key] = cls(folder, config, threads)
            return opened
        except Exception as error:  # onnxruntime and tokenizers raise types of their own, or Exception itself
            raise IndexDamagedError(
                f"The encoder in {folder} cannot be loaded ({type(error).__name__})", ADVICE
            ) from error

    @staticmethod
    def check(folder: Path) -> "ExportConfig":
        """Checks that an export is whole, without loading it.

        Raises:
            IndexDamagedError: a file is missing or has not the size it was written with.
        """
        config = _read_config(folder)
        for name, record in config.files.items():
            if not is_whole(folder / name, record, by_size=True):
                raise IndexDamagedError(f"The encoder's {folder / name} is missing or truncated", ADVICE)
        return config

    @staticmethod
    def damage(folder: Path) -> list[str]:
        """The files of an export that are missing or not byte for byte as they were written."""
        try:
            return damaged(folder, _read_config(folder).files)
        except IndexDamagedError:
            return [CONFIG]

    @property
    def digest(self) -> str:
        """Identifies the vectors it makes."""
        return self._config.digest

    def encode_queries(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension), all made at once; text past the window is not seen."""
        return self._run(self._tokenizer.encode_batch([self._config.query_prompt + text for text in texts]))

    def encode_passages(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension); each core encodes some of them."""
        encodings = self._tokenizer.encode_batch([self._config.passage_prompt + text for text in texts])
        vectors = np.empty((len(texts), self._config.dimension), dtype=np.float32)

        def encode(places: Sequence[int]) -> None:
            vectors[places] = self._run([encodings[place] for place in places])

        most = TOKENS_TOGETHER[self._config.precision]
        with ThreadPoolExecutor(os.cpu_count(), "encoding") as pool:
            for _ in pool.map(encode, batches_by_length([len(encoding.ids) for encoding in encodings], most)):
                pass
        return vectors

    def is_word(self, text: str) -> bool:
        """Returns whether it has a token of its own for a text, as for common words."""
        return len(self._tokenizer.encode(text, add_special_tokens=False)) == 1

    def _run(self, encodings: "Sequence[Encoding]") -> "NDArray[np.float32]":
        """Unit vectors of texts, of shape (len(encodings), dimension)."""
        longest = max(len(encoding.ids) for encoding in encodings)
        columns = {
            "input_ids": _filled([encoding.ids for encoding in encodings], longest, self._config.padding),
            "attention_mask": _filled([encoding.attention_mask for encoding in encodings], longest, 0),
            "token_type_ids": _filled([encoding.type_ids for encoding in encodings], longest, 0),
        }
        (found,) = self._session.run([OUTPUT], {name: columns[name] for name in self._inputs})
        vectors = np.asarray(found, dtype=np.float32)
        if not np.isfinite(vectors).all():
            raise IndexDamagedError(f"The encoder {self._folder / MODEL} gives what is no number", ADVICE)
        return vectors


_OPENED: WeakValueDictionary[tuple[object, ...], OnnxEncoder] = WeakValueDictionary()
"""Encoders in use, by their threads and files: an engine of a new snapshot mostly has the encoder of the last one."""


def batches_by_length(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Yields the positions of texts that go through the model at once, the longest first.

    Args:
        lengths: of the texts, in tokens.
        most: tokens, those that fill up the shorter texts among them, unless one text alone has more.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _filled(rows: Sequence[Sequence[int]], length: int, value: int) -> "NDArray[np.int64]":
    """Rows of unequal lengths as an array of shape (len(rows), length)."""
    filled = np.full((len(rows), length), value, dtype=np.int64)
    for number, row in enumerate(rows):
        filled[number, : len(row)] = row
    return filled


_CONFIGS = json_decoder(ExportConfig)


def _read_config(folder: Path) -> ExportConfig:
    """The description of an export; errors as `OnnxEncoder.check`."""
    try:
        data = (folder / CONFIG).read_bytes()
        config = _CONFIGS.decode(data)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise IndexDamagedError(f"The encoder {folder / CONFIG} is missing or damaged", ADVICE) from None
    if config != config.sealed() or data != config.encoded():
        raise IndexDamagedError(f"The encoder {folder / CONFIG} is not what was written", ADVICE)
    return config
