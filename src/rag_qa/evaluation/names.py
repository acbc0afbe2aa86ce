"""Names of the measures: their groups, their cut-offs, and those of which a lower value is better."""

__all__ = [
    "CUTOFFS",
    "GROUPS",
    "LATENCY",
    "LOWER_IS_BETTER",
    "MEASURED",
    "RANKED_BY",
    "RANKING",
    "SPAN_DEPTH",
    "TAGGED",
]

CUTOFFS = (1, 3, 5, 10, 20, 50, 100)
SPAN_DEPTH = 5
"""Number of passages whose spans are measured, as in Chroma's table."""
RANKED_BY = "ndcg@10"
"""Measure that orders questions by how much they changed, or how badly they went."""
LATENCY = "latency_ms"

RANKING = (
    *(f"hit@{k}" for k in CUTOFFS[:4]),
    *(f"recall@{k}" for k in CUTOFFS),
    "precision@5",
    "mrr",
    "map",
    RANKED_BY,
)
_SPANS = tuple(f"{unit}_{share}@{SPAN_DEPTH}" for unit in ("char", "token") for share in ("recall", "precision", "iou"))
GROUPS = {
    "ranking": RANKING,
    "spans": _SPANS,
    "marks": (
        "highlight@1",
        "highlight@3",
        "quote_marked@3",
        "marked_share",
        *(f"marked_{name}" for name in _SPANS),
    ),
    "abstention": ("auroc", "accuracy", "ece", "aurc"),
    "latency, ms": ("latency_p50", "latency_p95"),
}
TAGGED = ("hit@3", "recall@10", RANKED_BY, "char_iou@5", "highlight@3")
"""Measures that are shown for the questions with a tag."""
MEASURED = (RANKED_BY, "hit@3", "recall@10", "char_recall@5", "char_iou@5", "highlight@3", "marked_share", LATENCY)
"""Measures that are shown for the variants of an ablation."""
LOWER_IS_BETTER = {"marked_share", LATENCY}
