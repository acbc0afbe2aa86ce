"""A cross-encoder, which reads a question and a passage together and scores how well the one answers the other."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from rag_qa.errors import RerankerError
from rag_qa.files import folder_digest
from rag_qa.models.hub import OTHER_FORMATS, downloaded_folder
from rag_qa.schemas import json_decoder

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

__all__ = ["CrossEncoderReranker"]

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model*.bin.index.json")
CLASSIFIER = "ForSequenceClassification"
UNSAID_LABELS = 2  # what transformers assumes where a configuration names no labels
ADVICE = "give a cross-encoder with one label"
_OBJECTS = json_decoder(dict[str, Any])


class CrossEncoderReranker:
    """A cross-encoder in a folder; the model is loaded at the first scoring; safe to share between threads."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._model: CrossEncoder | None = None
        self._lock = Lock()  # a tokenizer cannot be used by two threads at once

    @classmethod
    def from_name(cls, name: str) -> "CrossEncoderReranker":
        """The reranker by setting: a folder, or a name of the model hub.

        Raises:
            RerankerError: it is not on this machine, or is no cross-encoder with one label.
        """
        folder = Path(name)
        if folder.is_dir():
            found = cls(folder.resolve().name, folder)
        else:
            found = cls(name, downloaded_folder(name, "reranker", "a cross-encoder", RerankerError))
        _check(found.folder)
        return found

    @classmethod
    def open(cls, name: str) -> "CrossEncoderReranker":
        """Finds and loads it; errors as `from_name` and `load`."""
        found = cls.from_name(name)
        found.load()
        return found

    def load(self) -> "CrossEncoder":
        """Loads the model, which a first question would wait for, unless that was done; returns it.

        It is on an accelerator if torch sees one.

        Raises:
            RerankerError: its files are damaged, or are not all of it.
        """
        if self._model is None:
            self._model = _load(self.folder)
        return self._model

    @cached_property
    def digest(self) -> str:
        """Digest of all its files, which identifies the scores of this reranker."""
        return folder_digest(self.folder, OTHER_FORMATS)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Scores how well each text answers the question, in 0..1: the sigmoid of the model's logit.

        Raises:
            RerankerError: the model cannot be loaded, or gives what is no number.
        """
        from torch.nn import Sigmoid

        try:
            with self._lock:
                scores = self.load().predict(
                    [(question, text) for text in texts], activation_fn=Sigmoid(), show_progress_bar=False
                )
        except RuntimeError as error:  # torch knows no other
            raise RerankerError(
                f"The reranker in {self.folder} failed ({type(error).__name__}): lower rerank_depth, or leave it out."
            ) from error
        if not np.isfinite(scores).all():
            raise RerankerError(f"The reranker in {self.folder} gives what is no number: {ADVICE}.")
        return [float(score) for score in scores]


def _load(folder: Path) -> "CrossEncoder":
    from sentence_transformers import CrossEncoder
    from transformers import AutoModelForSequenceClassification
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        _, loading = AutoModelForSequenceClassification.from_pretrained(
            str(folder), local_files_only=True, output_loading_info=True
        )
        model: CrossEncoder = CrossEncoder(str(folder), local_files_only=True)
    except Exception as error:  # safetensors raises an Exception of its own
        raise RerankerError(
            f"The reranker in {folder} cannot be loaded ({type(error).__name__}): repair it or give another."
        ) from error
    if missing := sorted(loading["missing_keys"]):  # CrossEncoder would score with random weights in their place
        raise RerankerError(f"The reranker in {folder} lacks weights ({', '.join(missing)}): {ADVICE}.")
    model.eval()
    return model


class _Config(Struct, frozen=True):
    """The fields of a model's configuration that tell its kind."""

    model_type: str | None = None
    architectures: list[str] | None = None
    id2label: dict[str, Any] | None = None
    num_labels: int = UNSAID_LABELS


def _check(folder: Path) -> None:
    """Checks that a folder holds a cross-encoder with one label, without loading it."""
    saved_as = _config(folder / "config_sentence_transformers.json")
    if (folder / "modules.json").is_file() and (saved_as is None or saved_as.model_type != "CrossEncoder"):
        raise RerankerError(f"The folder “{folder}” holds a bi-encoder, which cannot rerank: {ADVICE}.")
    config = _config(folder / "config.json")
    if config is None or not any(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        lacking = "weights" if config is not None else "config.json"
        raise RerankerError(f"The folder “{folder}” holds no cross-encoder (no {lacking}): {ADVICE}.")
    if not (folder / "tokenizer.json").is_file():
        raise RerankerError(f"The folder “{folder}” holds no tokenizer.json: {ADVICE} and its tokenizer.")
    if not any(kind.endswith(CLASSIFIER) for kind in config.architectures or ()):
        raise RerankerError(f"The model in “{folder}” is made for something else than to classify: {ADVICE}.")
    labels = len(config.id2label or ()) or config.num_labels
    if labels != 1:
        raise RerankerError(f"The model in “{folder}” has {labels} labels: {ADVICE}.")


def _config(path: Path) -> _Config | None:
    """The configuration in a file; None if there is no file, or it is empty."""
    try:
        values = _OBJECTS.decode(path.read_bytes()) if path.is_file() else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RerankerError(f"{path} is no JSON object: repair the reranker's folder or give another.") from None
    try:
        return msgspec.convert(values, _Config) if values else None
    except msgspec.ValidationError:
        raise RerankerError(f"The config.json in “{path.parent}” is not what a model has: {ADVICE}.") from None
