"""What is shown of a ranked passage: the sentences that answer, and the citation."""

from collections.abc import Callable, Mapping, Sequence

from rag_qa.types import Citation, DocumentInfo, Highlight, Passage

__all__ = ["cite", "highlight", "within_budget"]

# Chosen on the gold questions of five collections: docs/decisions/0003-highlights.md.
MOST_SENTENCES = 2
NEARLY_AS_MUCH = 0.9


def highlight(
    passage: Passage,
    rarity: Mapping[str, float],
    analyze: Callable[[str], Sequence[str]],
    nearness: Sequence[float],
    nearness_weight: float,
) -> list[Highlight]:
    """The one or two sentences of a passage that best answer, in order of their offsets.

    A sentence scores by the question's terms that stand in it, each once and weighted by rarity, and by the
    nearness of its vector, both relative to the passage's best. The second sentence is marked as well if it
    scores nearly as much as the first.

    Args:
        passage: the passage.
        rarity: the question's terms with their inverse document frequency.
        analyze: text to terms, as `rarity` has them.
        nearness: inner product of the question with each sentence's vector.
        nearness_weight: weight of the nearness; the shared terms have the rest.
    """
    shared = [sum(rarity[t] for t in rarity.keys() & set(analyze(text))) for text in passage.sentence_texts]
    scores = [
        (1 - nearness_weight) * words + nearness_weight * vector
        for words, vector in zip(_relative(shared), _relative(nearness), strict=True)
    ]
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    chosen = [i for i in order[:MOST_SENTENCES] if scores[i] >= NEARLY_AS_MUCH * scores[order[0]]]
    spans = [passage.sentences[i] for i in sorted(chosen)]
    return [Highlight(start, end, passage.text[start - passage.start : end - passage.start]) for start, end in spans]


def _relative(values: Sequence[float]) -> list[float]:
    """Each value as a share of the largest; nothing counts for less than 0."""
    largest = max(values, default=0.0)
    return [max(value, 0.0) / largest if largest > 0 else 0.0 for value in values]


def cite(document: DocumentInfo, passage: Passage) -> Citation:
    """Where the passage stands."""
    return Citation(
        id=document.id,
        document=document.path,
        title=document.title,
        source=document.source,
        sha256=document.sha256,
        start=passage.start,
        end=passage.end,
        record=document.record,
        page=passage.page,
        page_unit=document.page_unit if passage.page else None,
        line=passage.line,
        section=passage.section,
    )


def within_budget(tokens: Sequence[int], max_tokens: int | None) -> list[int]:
    """Positions of the best passages whose tokens together stay within the budget.

    Positions are taken in rank order; one that no longer fits is passed over for the next that does.
    """
    chosen: list[int] = []
    left = max_tokens
    for position, count in enumerate(tokens):
        if left is None:
            chosen.append(position)
        elif count <= left:
            chosen.append(position)
            left -= count
    return chosen
