"""Marked text as HTML."""

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from rag_qa.service.pages.markup import marked


@given(st.text(max_size=60), st.integers(0, 40), st.data())
def test_marked_text_is_the_text(text, first, data):
    offsets = st.integers(0, first + len(text) + 5)
    spans = st.tuples(offsets, offsets).map(sorted).map(tuple)
    cited = data.draw(st.none() | spans)
    marks = {"other": data.draw(st.lists(spans, max_size=3)), "found": data.draw(st.lists(spans, max_size=3))}
    anchors = [(data.draw(offsets), "h<1>", "Page & 1")]
    html = marked(text, first, cited, marks, anchors)
    bare = re.sub(r"<span id=[^>]*></span>", "", html)
    for name, wanted in marks.items():
        found = "".join(re.findall(rf'<mark class="[^"]*{name}[^"]*">([^<]*)</mark>', bare))
        held = {place for start, end in wanted for place in range(start - first, end - first)}
        assert unescape(found) == "".join(text[place] for place in sorted(held) if 0 <= place < len(text))
    assert unescape(re.sub(r"</?mark[^>]*>", "", bare)) == text
    start, end = (max(0, each - first) for each in cited or (0, 0))
    if text[start:end]:
        inside = re.search(r'<mark id="cited"[^>]*>((?:<mark [^>]*>[^<]*</mark>|[^<])*)</mark>', bare)
        assert unescape(re.sub(r"</?mark[^>]*>", "", inside[1])) == text[start:end]
