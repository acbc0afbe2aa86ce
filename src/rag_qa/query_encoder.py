"""Questions to unit vectors without torch: the encoder's ONNX export, run by onnxruntime.

The export is made once, when the first index is built, checked against the original on real passages
and kept in INDEX/encoder/<digest>/.
"""

import hashlib
import logging
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from rag_qa.encoder import SentenceEncoder, load_tokenizer
from rag_qa.errors import EncoderError, IndexDamagedError
from rag_qa.files import FileRecord, damaged, is_whole, make_folder, record_file, sync, sync_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OnnxQueryEncoder", "export_query_encoder"]

LOWEST_COSINE = 0.9999
CHECKED_PASSAGES = 32
CONFIG, MODEL, TOKENIZER = "encoder.json", "model.onnx", "tokenizer.json"
OUTPUT = "unit_vector"
ADVICE = "run `rag-qa index` on the documents again to export it anew"


class _Config(Struct, frozen=True):
    """What belongs to an export."""

    digest: str
    dimension: int
    window: int
    query_prompt: str
    lowest_cosine: float
    files: dict[str, FileRecord]
    checksum: str = ""

    def sealed(self) -> "_Config":
        """The same with a checksum over all that it says."""
        plain = msgspec.structs.replace(self, checksum="")
        return msgspec.structs.replace(self, checksum=hashlib.sha256(msgspec.msgpack.encode(plain)).hexdigest())

    def encoded(self) -> bytes:
        """As it is written."""
        return msgspec.json.format(msgspec.json.encode(self))


class OnnxQueryEncoder:
    """Encodes questions; safe to share between threads."""

    def __init__(self, folder: Path, config: _Config) -> None:
        import onnxruntime

        self._folder = folder
        self._config = config
        self._tokenizer = load_tokenizer(folder / TOKENIZER)
        self._tokenizer.enable_truncation(config.window)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(folder / MODEL), options, providers=["CPUExecutionProvider"])
        self._inputs = [node.name for node in self._session.get_inputs()]

    @classmethod
    def open(cls, folder: Path) -> "OnnxQueryEncoder":
        """Loads an export; errors as `check`, and the same if it does not load."""
        config = cls.check(folder)
        try:
            return cls(folder, config)
        except Exception as error:  # onnxruntime and tokenizers raise types of their own, or Exception itself
            raise IndexDamagedError(
                f"The query encoder in {folder} cannot be loaded ({type(error).__name__})", ADVICE
            ) from error

    @staticmethod
    def check(folder: Path) -> "_Config":
        """Looks whether an export is whole, without loading it.

        Raises:
            IndexDamagedError: a file is missing or has not the size it was written with.
        """
        config = _read_config(folder)
        for name, record in config.files.items():
            if not is_whole(folder / name, record, by_size=True):
                raise IndexDamagedError(f"The query encoder's {folder / name} is missing or truncated", ADVICE)
        return config

    @staticmethod
    def damage(folder: Path) -> list[str]:
        """The files of an export that are missing or not byte for byte as they were written."""
        try:
            return damaged(folder, _read_config(folder).files)
        except IndexDamagedError:
            return [CONFIG]

    def encode_query(self, text: str) -> "NDArray[np.float32]":
        """A unit vector of shape (dimension,); text past the encoder's window is not seen."""
        encoding = self._tokenizer.encode(self._config.query_prompt + text)
        columns = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        feed = {name: np.array([columns[name]], dtype=np.int64) for name in self._inputs}
        (vectors,) = self._session.run([OUTPUT], feed)
        vector = np.asarray(vectors[0], dtype=np.float32)
        if not np.isfinite(vector).all():
            raise IndexDamagedError(f"The query encoder {self._folder / MODEL} gives what is no number", ADVICE)
        return vector

    def is_word(self, text: str) -> bool:
        """Whether it has a token of its own for a text, as for common words."""
        return len(self._tokenizer.encode(text, add_special_tokens=False)) == 1


def _read_config(folder: Path) -> _Config:
    """What belongs to an export; errors as `OnnxQueryEncoder.check`."""
    try:
        data = (folder / CONFIG).read_bytes()
        config = msgspec.json.decode(data, type=_Config)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise IndexDamagedError(f"The query encoder {folder / CONFIG} is missing or damaged", ADVICE) from None
    if config != config.sealed() or data != config.encoded():
        raise IndexDamagedError(f"The query encoder {folder / CONFIG} is not what was written", ADVICE)
    return config


def export_query_encoder(encoder: SentenceEncoder, folder: Path, texts: Sequence[str]) -> None:
    """Writes the export of `encoder` to `folder`, whole or not at all.

    Args:
        encoder: the original.
        folder: where the export is kept; replaced if it is there.
        texts: real passages to compare on; the first 32 are used.

    Raises:
        EncoderError: the model cannot be exported, or the export's vectors differ from the original's.
    """
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    make_folder(building)
    try:
        _write_onnx(encoder, building / MODEL)
        shutil.copyfile(encoder.folder / TOKENIZER, building / TOKENIZER)
        config = _Config(
            digest=encoder.digest,
            dimension=int(encoder.encode_query("dimension").shape[0]),
            window=encoder.window,
            query_prompt=encoder.query_prompt,
            lowest_cosine=0.0,
            files={name: record_file(building / name) for name in (MODEL, TOKENIZER)},
        )
        exported = OnnxQueryEncoder(building, config)
        cosine = min(
            float(exported.encode_query(text) @ encoder.encode_query(text)) for text in texts[:CHECKED_PASSAGES]
        )
        if cosine < LOWEST_COSINE:
            raise EncoderError(
                f"The ONNX export of {encoder.name} differs from the original (cosine {cosine:.4f}, at least "
                f"{LOWEST_COSINE} wanted): choose another encoder."
            )
        config = msgspec.structs.replace(config, lowest_cosine=cosine).sealed()
        (building / CONFIG).write_bytes(config.encoded())
        sync_tree(building)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_onnx(encoder: SentenceEncoder, path: Path) -> None:
    """The whole model, pooling and normalisation included, with both axes dynamic."""
    import torch

    class UnitVector(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = encoder.model

        def forward(self, *columns: torch.Tensor) -> torch.Tensor:
            features = dict(zip(names, columns, strict=True))
            return torch.nn.functional.normalize(self.model(features)["sentence_embedding"], dim=-1)

    # Two texts of different length, so that no axis looks constant to the tracer.
    example = encoder.model.tokenizer(["a question", "another, longer question"], padding=True, return_tensors="pt")
    names = list(example)
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                UnitVector().eval(),
                tuple(example[name].to(encoder.model.device) for name in names),
                input_names=names,
                output_names=[OUTPUT],
                dynamic_shapes=((axes,) * len(names),),
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise EncoderError(
                f"The encoder {encoder.name} cannot be exported to ONNX ({type(error).__name__}): choose another."
            ) from None
    assert program is not None  # noqa: S101 - it is None only for the old exporter
    program.save(str(path))
