"""Measures the speed of encoding: sentence-transformers, and rag_qa in both precisions, on the same passages.

    python benchmarks/encoding.py --index INDEX [--passages 400] [--rounds 3] [--json FILE]

The passages are the first of an index. The limit is the speed at which the machine would compute only the matrix
products of the model in single precision: its rate for such products is measured in the same run. All take turns; the
best round of each counts, since the others were slowed by other processes.
"""

import argparse
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from recording import record, table

from rag_qa import Engine
from rag_qa.models.export import ensure_export
from rag_qa.models.onnx_encoder import OnnxEncoder
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER
from rag_qa.types import Precision

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
ROWS, REPEATS = 2048, 20


def products_a_second() -> float:
    """Returns the floating-point operations a second of torch in matrix products of the model's sizes.

    The best of five measurements counts.
    """
    import torch

    one, other = torch.randn(ROWS, 384), torch.randn(384, 1536)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(REPEATS):
            one @ other
        best = max(best, REPEATS * 2 * ROWS * 384 * 1536 / (time.perf_counter() - started))
    return best


def operations_a_token(encoder: SentenceEncoder, length: float) -> float:
    """Returns the operations for a token of a text of `length` tokens: two for each weight, and the attention."""
    config = encoder.model[0].auto_model.config
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    return float(layers * (2 * (4 * hidden * hidden + 2 * hidden * inner) + 4 * length * hidden))


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, default=Path("index"))
    parser.add_argument("--passages", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    with Engine.open(given.index) as engine:
        every = (
            passage for info, _ in engine.collection.documents() for passage in engine.collection.passages(info.id)
        )
        texts = [passage.in_context for passage in islice(every, given.passages)]
    encoders = {precision: SentenceEncoder.from_name(DEFAULT_ENCODER, precision) for precision in PRECISIONS}
    original = encoders["float32"]
    ways: dict[str, Callable[[list[str]], np.ndarray]] = {
        "sentence-transformers": lambda texts: original.model.encode(texts, normalize_embeddings=True)
    }
    with tempfile.TemporaryDirectory() as temporary:
        for precision, encoder in encoders.items():
            folder = ensure_export(encoder, Path(temporary), texts, lambda *_: None)
            ways[f"rag_qa, {precision}"] = OnnxEncoder.open(folder, threads=1).encode_passages
    tokens = sum(len(encoding.ids) for encoding in original.tokenizer.encode_batch(texts))
    best = dict.fromkeys(ways, float("inf"))
    vectors: dict[str, np.ndarray] = {}
    rate = 0.0
    for _ in range(given.rounds):
        rate = max(rate, products_a_second())
        for name, encode in ways.items():
            started = time.perf_counter()
            vectors[name] = encode(texts)
            best[name] = min(best[name], time.perf_counter() - started)
    limit = rate / operations_a_token(original, tokens / len(texts))
    reference = vectors["sentence-transformers"]
    rows = [
        {
            "encoder": name,
            "tokens a second": tokens / seconds,
            "times sentence-transformers": best["sentence-transformers"] / seconds,
            "of the limit": tokens / seconds / limit,
            "lowest cosine": f"{(vectors[name] * reference).sum(axis=1).min():.5f}",
        }
        for name, seconds in best.items()
    ]
    print(
        f"{len(texts)} passages, {tokens} tokens; the limit is {limit:.0f} tokens a second ({rate / 1e9:.0f} GFLOP/s)"
    )
    table(rows)
    if given.json:
        record(given.json, rows)


if __name__ == "__main__":
    main()
