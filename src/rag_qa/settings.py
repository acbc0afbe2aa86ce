"""Settings, merged from four layers: defaults < rag-qa.toml < RAG_QA_* environment < command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from rag_qa.errors import SettingsError

__all__ = ["DEFAULT_ENCODER", "SCORE_SETTINGS", "IndexSettings", "Settings", "load_settings"]

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
CONFIG_FILE = "rag-qa.toml"
ENVIRONMENT_PREFIX = "RAG_QA_"
LISTS = {"allowed_hosts", "cors_origins", "trusted_proxies"}
"""Settings with several values, which the environment separates by commas."""
SCORE_SETTINGS = (
    "depth",
    "dense_weight",
    "word_coverage",
    "sentence_scores",
    "expand_acronyms",
    "collapse_duplicates",
)
"""Settings that change the scores of search without another index."""

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Origin = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://[^/\s]+$")]
Share = Annotated[float, Meta(ge=0, le=1)]


class IndexSettings(Struct, frozen=True, kw_only=True):
    """Settings that an index is built with: part of the snapshot's identity."""

    encoder: str = DEFAULT_ENCODER
    """`all-MiniLM-L6-v2` (packaged), a folder, or a sentence-transformers name."""
    precision: Literal["auto", "int8", "float32"] = "auto"
    """Precision of the encoder's numbers: float32 is exact; int8 is faster on processors that multiply bytes (AVX
    VNNI). `auto` keeps the precision of an existing index, and chooses the faster one for a new index."""
    passage_tokens: Annotated[int, Meta(ge=16)] = 140
    """Maximum length of a passage, in the encoder's own tokens."""
    overlap_tokens: NotNegative = 0
    """Maximum overlap of neighbouring passages, in the encoder's own tokens."""
    context_tokens: NotNegative = 48
    """Maximum length of the title and headings that are encoded with a passage, in the encoder's own tokens."""
    ocr: bool = False
    """True if images and scanned pages are read with Tesseract, which must be installed."""
    ocr_language: Annotated[str, Meta(pattern="^[A-Za-z_+]+$")] = "eng"
    """Tesseract's names of languages, joined by `+`."""
    feed_text: str = ""
    """Field of a JSON or JSONL record that holds its text; empty for the common names."""
    feed_title: str = ""
    """Field that holds the title; empty for the common names."""
    feed_date: str = ""
    """Field that holds the date; empty for the common names."""
    feed_url: str = ""
    """Field that holds the address; empty for the common names."""


class Settings(IndexSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings in one flat record: each can be set in rag-qa.toml or as RAG_QA_<FIELD>."""

    index: str = "index"
    """Folder of the index."""
    documents: str = "seeds"
    """Folder that the default index is built from when it is missing."""
    readers: Positive = 2
    """Number of parser processes, which parse files at the same time."""
    read_seconds: Annotated[float, Meta(gt=0)] = 120
    """Maximum time to parse a file, in seconds."""
    read_memory_mb: Positive = 2048
    """Maximum memory of a parser process, in megabytes."""
    max_file_mb: Positive = 512
    """Maximum size of a file that is indexed, in megabytes."""
    segment_passages: Positive = 131_072
    """Passages of a full segment; indexing holds the vectors of as many passages in memory, 1 kB each."""
    graph_passages: Positive = 10_000
    """Smallest number of passages at which a segment gets a graph for approximate search."""
    exact_search: bool = False
    """True if a question is compared with every vector, even in a segment that has a graph."""
    keep_snapshots: Positive = 3
    """Maximum number of snapshots after indexing."""
    depth: Annotated[int, Meta(ge=1, le=10_000)] = 100
    """Candidates taken from each of dense and lexical search."""
    dense_weight: Share = 0.55
    """Weight of the dense score in the fused score; the lexical score has the rest. At 1 lexical search is skipped; at
    0 only passages that share a word with the question are found."""
    word_coverage: bool = True
    """True if the share of a question's words in a passage, alone and with its neighbours, counts beside BM25."""
    expand_acronyms: bool = True
    """True if the long forms of a question's acronyms, and the acronyms of its long forms, are searched too."""
    collapse_duplicates: bool = True
    """True if duplicate passages are shown once, with all their places."""
    variety: bool = True
    """True if near copies of a better passage, in other documents, give way to passages that add something."""
    sentence_scores: bool = True
    """True if a passage has the similarity of its most similar sentence, where that exceeds its own."""
    reranker: str = ""
    """Cross-encoder that scores the best passages again: a folder, or a name of the model hub; empty for none."""
    rerank_depth: Positive = 20
    """Maximum number of passages that the reranker scores."""
    rerank_seconds: Annotated[float, Meta(gt=0)] = 1
    """Maximum time of reranking, in seconds."""
    highlights: Literal["trained", "words", "vectors"] = "trained"
    """Method that chooses the marked sentences: the trained scorer, shared words, or vector similarity alone."""
    max_k: Positive = 100
    max_question_characters: Positive = 2000
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Host names the service answers to, without port."""
    cors_origins: tuple[Origin, ...] = ()
    """Other web origins that may call the service, such as https://example.org."""
    mcp: bool = False
    """True if the service answers MCP clients at /mcp."""
    max_body_bytes: Positive = 65536
    threads: Positive = 2
    """Requests that the service processes at the same time."""
    max_requests: Positive = 512
    """Maximum requests in flight, queued ones included; beyond it, clients get 503 with Retry-After."""
    max_batch: Positive = 100
    """Maximum number of questions in a batch over HTTP."""
    require_keys: bool = False
    """True if a key is required on loopback too, as for a service behind a proxy; other addresses always need one."""
    keys_file: str = "rag-qa-keys.json"
    """File of the API keys, which holds their digests."""
    rate_limit: NotNegative = 600
    """Requests per minute for each key, and for each address without one; 0 for no limit."""
    client_seconds: Annotated[float, Meta(gt=0)] = 10
    """Maximum time in which a client must send or receive 5 kB before its connection is closed, in seconds."""
    finish_seconds: Positive = 30
    """Maximum time in which a service that is stopped finishes the requests it has begun, in seconds."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    managed_folder: str = ""
    """Indexed folder to which administrators may upload documents over HTTP; empty forbids uploads."""
    log_questions: bool = False
    """True if the log may hold the text of questions."""
    traces: bool = False
    """True if OpenTelemetry traces are sent to OTEL_EXPORTER_OTLP_ENDPOINT; needs `pip install 'rag_qa[otel]'`."""

    given: frozenset[str] = frozenset()
    """Names of the settings that a file, the environment or the command line sets; filled in by `load_settings`."""

    def for_index(self) -> IndexSettings:
        """Returns the settings that an index is built with."""
        return IndexSettings(**{name: getattr(self, name) for name in IndexSettings.__struct_fields__})


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """Merges the layers into one record.

    Args:
        overrides: values of the command line, the strongest layer; None means "not given".
        environ: the environment; entries named RAG_QA_* are settings.
        directory: folder of rag-qa.toml, the working directory by default.

    Raises:
        SettingsError: a name is unknown, a value has the wrong type or range, or the TOML is invalid.
    """
    layers: dict[str, tuple[Any, str]] = {}
    config = (directory or Path()) / CONFIG_FILE
    if config.is_file():
        import tomllib

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
    """Returns the decoder's reason without its path: "Expected `int` >= 1"."""
    return str(error).split(" - at ", maxsplit=1)[0]
