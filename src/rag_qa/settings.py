"""Settings: defaults < rag-qa.toml < RAG_QA_* environment < command line."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from rag_qa.errors import SettingsError

__all__ = ["DEFAULT_ENCODER", "IndexSettings", "Settings", "load_settings"]

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
CONFIG_FILE = "rag-qa.toml"
ENVIRONMENT_PREFIX = "RAG_QA_"
LISTS = {"allowed_hosts", "cors_origins", "trusted_proxies"}
"""Settings of several values, which in the environment are separated by commas."""

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Origin = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://[^/\s]+$")]
Share = Annotated[float, Meta(ge=0, le=1)]


class IndexSettings(Struct, frozen=True, kw_only=True):
    """What an index is built with; part of the snapshot's identity."""

    encoder: str = DEFAULT_ENCODER
    """`all-MiniLM-L6-v2` (packaged), a folder, or a sentence-transformers name."""
    precision: Literal["auto", "int8", "float32"] = "auto"
    """Of the numbers that the encoder computes with: float32 is exact; int8 is faster where the processor multiplies
    bytes (AVX VNNI). `auto` is what the index has already, and for a new one what is faster."""
    passage_tokens: Annotated[int, Meta(ge=16)] = 140
    """Longest passage, in the encoder's own tokens."""
    overlap_tokens: NotNegative = 0
    """How much neighbouring passages may share, in the encoder's own tokens."""
    context_tokens: NotNegative = 48
    """Most of title and headings that is encoded with a passage, in the encoder's own tokens."""
    ocr: bool = False
    """Read images and scanned pages with Tesseract, which has to be installed."""
    ocr_language: Annotated[str, Meta(pattern="^[A-Za-z_+]+$")] = "eng"
    """Tesseract's names of languages, joined by `+`."""
    feed_text: str = ""
    """The field of a JSON or JSONL record that holds its text; empty for the common names."""
    feed_title: str = ""
    """The same for the title."""
    feed_date: str = ""
    """The same for the date."""
    feed_url: str = ""
    """The same for the address."""


class Settings(IndexSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, flat: each field can stand in rag-qa.toml or as RAG_QA_<FIELD>."""

    index: str = "index"
    """Folder of the index."""
    documents: str = "seeds"
    """What the default index is built from when it is missing."""
    readers: Positive = 2
    """Processes that read files at the same time."""
    read_seconds: Annotated[float, Meta(gt=0)] = 120
    """Longest time for one file."""
    read_memory_mb: Positive = 2048
    """Most memory, in megabytes, of the process that reads a file."""
    max_file_mb: Positive = 512
    """Largest file that is read, in megabytes."""
    segment_passages: Positive = 131_072
    """Passages of a full segment; indexing needs memory for the vectors of so many, 1 kB each."""
    graph_passages: Positive = 10_000
    """From how many passages on a segment is searched by a graph and no longer exactly."""
    exact_search: bool = False
    """Compare a question with every vector, also where there is a graph."""
    keep_snapshots: Positive = 3
    """How many snapshots there are at most after indexing."""
    depth: Annotated[int, Meta(ge=1, le=10_000)] = 100
    """Candidates taken from each of dense and lexical search."""
    dense_weight: Share = 0.55
    """Weight of the dense score in the fused score; the lexical score has the rest. At 1 words are not searched at all,
    at 0 only passages that share a word with the question are found."""
    word_coverage: bool = True
    """Let the share of a question's words that a passage holds, alone and with its neighbours, count beside BM25."""
    expand_acronyms: bool = True
    """Search for the long form of a question's acronyms too, and for the acronyms of its long forms."""
    collapse_duplicates: bool = True
    """Show a statement that stands in several places once, with all of them."""
    sentence_scores: bool = True
    """Let a passage count as near as its nearest sentence, where that is nearer than the whole."""
    reranker: str = ""
    """A cross-encoder that looks at the best passages again: a folder, or a name of the model hub; empty for none."""
    rerank_depth: Positive = 20
    """How many passages it looks at, at most."""
    rerank_seconds: Annotated[float, Meta(gt=0)] = 1
    """How long it may take."""
    highlights: Literal["trained", "words", "vectors"] = "trained"
    """What the marked sentences are chosen by: all that the trained scorer knows, shared words, or nearness alone."""
    max_k: Positive = 100
    max_question_characters: Positive = 2000
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Host names the service answers to, without port."""
    cors_origins: tuple[Origin, ...] = ()
    """Web origins that may call the service, such as https://example.org; its own may always."""
    mcp: bool = False
    """Answer MCP clients at /mcp."""
    max_body_bytes: Positive = 65536
    threads: Positive = 2
    """Requests that the service works on at the same time."""
    max_requests: Positive = 512
    """Requests that may be here at the same time, those that wait among them; more are told to come again."""
    max_batch: Positive = 100
    """Questions of one batch over HTTP."""
    require_keys: bool = False
    """Ask for a key also on loopback: for a service behind a proxy. On any other address keys are always asked for."""
    keys_file: str = "rag-qa-keys.json"
    """Where the API keys are kept, as digests."""
    rate_limit: NotNegative = 600
    """Requests in a minute for each key, and for each address without one; 0 for no limit."""
    client_seconds: Annotated[float, Meta(gt=0)] = 10
    """How long a client may take to send or to take 5 kB, before its connection is ended."""
    finish_seconds: Positive = 30
    """How long a service that is stopped may take to answer what it has begun."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies that are believed in whom they ask for (X-Forwarded-For, X-Forwarded-Proto)."""
    managed_folder: str = ""
    """The indexed folder to which administrators may upload documents over HTTP; empty where they may not."""
    log_questions: bool = False
    """Whether the text of questions may stand in the log."""
    traces: bool = False
    """Send OpenTelemetry traces to where OTEL_EXPORTER_OTLP_ENDPOINT says; needs `pip install 'rag_qa[otel]'`."""

    given: frozenset[str] = frozenset()
    """Names that were set by file, environment or command line; filled in by `load_settings`."""

    def for_index(self) -> IndexSettings:
        """The part that an index is built with."""
        return IndexSettings(**{name: getattr(self, name) for name in IndexSettings.__struct_fields__})


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """Merges the layers; a value of None in `overrides` means "not given".

    Args:
        overrides: from the command line, the strongest layer.
        environ: the environment; entries named RAG_QA_* are settings.
        directory: where rag-qa.toml is looked for, the working directory by default.

    Raises:
        SettingsError: an unknown name, a value of the wrong kind or range, or broken TOML.
    """
    layers: dict[str, tuple[Any, str]] = {}
    config = (directory or Path()) / CONFIG_FILE
    if config.is_file():
        try:
            for name, value in tomllib.loads(config.read_text("utf-8")).items():
                layers[name] = (value, CONFIG_FILE)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{CONFIG_FILE} is not valid TOML ({error}): correct it.") from None
    for name, value in (environ or {}).items():
        if name.startswith(ENVIRONMENT_PREFIX):
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower()
            layers[key] = ([each.strip() for each in value.split(",")] if key in LISTS else value, name)
    for name, value in (overrides or {}).items():
        if value is not None:
            layers[name] = (value, "the command line")

    known = [name for name in Settings.__struct_fields__ if name != "given"]
    for name, (value, origin) in layers.items():
        if name not in known:
            raise SettingsError(f"{origin} sets “{name}”, which is no setting; there are: {', '.join(known)}.")
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{origin} sets {name} to “{value}”: {_reason(error)}.") from None
    values = {name: value for name, (value, _) in layers.items()}
    return msgspec.convert(values | {"given": list(layers)}, Settings, strict=False)


def _reason(error: msgspec.ValidationError) -> str:
    """The decoder's reason without its path: "Expected `int` >= 1"."""
    return str(error).split(" - at ", maxsplit=1)[0]
