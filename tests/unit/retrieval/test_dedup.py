import numpy as np

from rag_qa.retrieval.dedup import group_duplicates
from rag_qa.text.duplicates import signature


def test_collapsing_by_hand():
    texts = ["Ships pay ten crowns.", "Ferries sail.", "Ships  pay ten crowns.", "Ice.", "Ferries\nsail.", "Fog."]
    signatures = np.stack([signature(text) for text in texts])
    asked = []

    def give(positions):
        asked.extend(positions)
        return [texts[position] for position in positions]

    assert group_duplicates(signatures, give, 3) == [[0, 2], [1, 4], [3]]
    assert 5 not in asked
    assert group_duplicates(signatures, give, 10) == [[0, 2], [1, 4], [3], [5]]
    assert group_duplicates(signatures[:0], give, 3) == []
