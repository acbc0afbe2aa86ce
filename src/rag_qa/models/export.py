"""Exports of an encoder to ONNX, in one precision each, checked against the original on real passages.

An export is made once on a machine, which takes half a minute, and kept for the next index in the user's cache. Each
index has a copy of its own in INDEX/encoder/<digest>/, so that it answers wherever it is taken.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import platformdirs
from filelock import FileLock

from rag_qa.errors import EncoderError
from rag_qa.files import make_folder, record_file, sync, sync_tree
from rag_qa.models.onnx_encoder import CONFIG, MODEL, OUTPUT, TOKENIZER, ExportConfig, OnnxEncoder
from rag_qa.models.runtime import load_quantizer
from rag_qa.models.sentence_transformer import BLOCK, SentenceEncoder
from rag_qa.types import Precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ExportedEncoder", "ensure_export"]

LOWEST_COSINES: dict[Precision, float] = {"float32": 0.9999, "int8": 0.995}
CHECKED_PASSAGES = 32


class ExportedEncoder:
    """Encodes the passages of an index by the export that its questions are encoded by; made when it is needed."""

    def __init__(self, encoder: SentenceEncoder, index: Path, progress: Callable[[str, int, int], None]) -> None:
        self._encoder = encoder
        self._index = index
        self._progress = progress
        self._folder: Path | None = None

    @property
    def digest(self) -> str:
        """Identifies the vectors it makes."""
        return self._encoder.digest

    def encode_passages(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension).

        Raises:
            EncoderError: the model cannot be exported, or the export's vectors differ from the original's.
        """
        folder = self.ensure(texts)
        if self._encoder.encodes_itself:
            return self._encoder.encode_passages(texts)
        if self._encoder.export is None:
            self._encoder.export = OnnxEncoder.open(folder, threads=1)
        return self._encoder.export.encode_passages(texts)

    def ensure(self, texts: Sequence[str]) -> Path:
        """Makes sure that the index has the export, also where nothing has to be encoded; as `ensure_export`."""
        self._folder = self._folder or ensure_export(self._encoder, self._index, texts, self._progress)
        return self._folder


def ensure_export(
    encoder: SentenceEncoder, index: Path, texts: Sequence[str], progress: Callable[[str, int, int], None]
) -> Path:
    """Makes sure that an index has a whole export of its encoder; returns its folder.

    Args:
        encoder: the original.
        index: folder of the index.
        texts: real passages to compare on, of which 32 are taken from all parts; at least one.
        progress: called when it is made.

    Raises:
        EncoderError: the model cannot be exported, or the export's vectors differ from the original's.
    """
    folder = index / "encoder" / encoder.digest
    if not OnnxEncoder.damage(folder):
        return folder
    kept = Path(platformdirs.user_cache_dir("rag_qa")) / "encoders" / encoder.digest
    with _alone(kept):
        if not OnnxEncoder.damage(kept):
            _write_whole(folder, lambda building: _copy(kept, building))
            return folder
        progress("exporting", 0, 1)
        _write_whole(folder, lambda building: _export(encoder, building, texts))
        progress("exporting", 1, 1)
        with suppress(OSError):  # a cache that cannot be written is only slower
            _write_whole(kept, lambda building: _copy(folder, building))
    return folder


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Waits until no other process makes or copies what is kept; where it cannot be kept, it goes on at once."""
    with ExitStack() as held:
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(kept.with_name(f"{kept.name}.lock")))
        yield


def _write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Makes a folder, whole or not at all; one that is there is replaced."""
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    make_folder(building)
    try:
        write(building)
        sync_tree(building)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    for name in (MODEL, TOKENIZER, CONFIG):
        shutil.copyfile(source / name, target / name)


def _export(encoder: SentenceEncoder, folder: Path, texts: Sequence[str]) -> None:
    """Writes an export into an empty folder, if it does what the original does."""
    _write_onnx(encoder, folder / MODEL)
    if encoder.precision == "int8":
        _quantize(folder / MODEL)
    shutil.copyfile(encoder.folder / TOKENIZER, folder / TOKENIZER)
    config = ExportConfig(
        digest=encoder.digest,
        precision=encoder.precision,
        dimension=int(encoder.encode_queries(["dimension"]).shape[1]),
        window=encoder.window,
        query_prompt=encoder.query_prompt,
        passage_prompt=encoder.passage_prompt,
        padding=encoder.model.tokenizer.pad_token_id or 0,
        lowest_cosine=0.0,
        files={name: record_file(folder / name) for name in (MODEL, TOKENIZER)},
    )
    exported = OnnxEncoder(folder, config)
    compared = texts[:: max(1, len(texts) // CHECKED_PASSAGES)][:CHECKED_PASSAGES]  # long ones and short ones
    passages = (exported.encode_passages(compared) * encoder.encode_passages(compared)).sum(axis=1)
    questions = (
        np.concatenate([exported.encode_queries([text]) for text in compared]) * encoder.encode_queries(compared)
    ).sum(axis=1)
    config = msgspec.structs.replace(config, lowest_cosine=float(np.min([*passages, *questions])))
    wanted = LOWEST_COSINES[encoder.precision]
    if not config.lowest_cosine >= wanted:
        advice = "choose another encoder" if encoder.precision == "float32" else "index with --exact"
        raise EncoderError(
            f"The {encoder.precision} export of {encoder.name} differs from the original "
            f"(cosine {config.lowest_cosine:.4f}, at least {wanted} wanted): {advice}."
        )
    (folder / CONFIG).write_bytes(config.sealed().encoded())


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
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            raise EncoderError(
                f"The encoder {encoder.name} cannot be exported to ONNX ({type(error).__name__}): choose another."
            ) from None
    assert program is not None  # noqa: S101 - it is None only for the old exporter
    program.save(str(path))


def _quantize(path: Path) -> None:
    """Makes the weights of all matrix products 8 bits wide, and the products of whole numbers.

    What the weights are multiplied with is scaled row by row, so that no text is scaled by its neighbours in a batch.
    """
    import onnx

    quantizing = load_quantizer()
    logging.getLogger(quantizing.__name__).setLevel(logging.ERROR)
    how: Any = quantizing.DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=True, accuracy_level=4, bits=8)
    quantizer = quantizing.MatMulNBitsQuantizer(onnx.load(str(path)), algo_config=how)
    quantizer.process()
    quantizer.model.save_model_to_file(str(path))
