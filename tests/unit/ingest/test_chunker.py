import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_qa.ingest.chunker import Chunker
from rag_qa.settings import IndexSettings
from rag_qa.text.structure import markdown_headings
from rag_qa.text.tokens import count_tokens
from rag_qa.types import Document

WORDS = st.sampled_from(
    [
        "harbour",
        "Inspectorate",
        "naïve",
        "😀",
        "数据",
        "x",
        "recommendations",
        "e\u0301",
        "#",
        "a.",
        "!",
        "l'eau",
        "1,000",
    ]
)
GAPS = st.sampled_from([" ", " ", " ", "\n", "\n\n", "\r\n", ". ", "\t", "\n# ", "\u2029"])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=150).map(lambda pairs: "".join(w + g for w, g in pairs))


def make(text, pages=(), kind="text", title="Notice to all skippers of the northern harbour", **fields):
    headings = markdown_headings(text) if kind == "markdown" else ()
    return Document(
        id="0" * 16, path="a.txt", title=title, source="a.txt", sha256="", parser="text/1", characters=len(text),
        pages=pages, headings=headings, metadata={"format": kind}, text=text, **fields,
    )  # fmt: skip


@given(
    text=TEXTS,
    cuts=st.lists(st.integers(0, 300), max_size=3),
    kind=st.sampled_from(["text", "markdown"]),
    passage_tokens=st.sampled_from([16, 40, 500]),
    overlap=st.sampled_from([0, 8]),
    context=st.sampled_from([0, 8, 48]),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_passages_are_slices_that_cover_the_text(encoder, text, cuts, kind, passage_tokens, overlap, context):
    pages = tuple(sorted({0, *(cut for cut in cuts if cut < len(text))})) if cuts and text else ()
    document = make(text, pages, kind)
    sizes = IndexSettings(passage_tokens=passage_tokens, overlap_tokens=overlap, context_tokens=context)
    passages = Chunker(encoder.tokenizer, encoder.room, sizes).chunk(document)

    covered = [False] * len(text)
    for passage in passages:
        assert 0 <= passage.start < passage.end <= len(text)
        assert text[passage.start : passage.end] == passage.text
        assert len(encoder.tokenizer.encode(passage.text, add_special_tokens=False)) <= passage_tokens
        assert len(encoder.tokenizer.encode(passage.in_context)) <= encoder.window
        assert [passage.tokens] == count_tokens([passage.text])
        covered[passage.start : passage.end] = [True] * (passage.end - passage.start)
        if pages:
            start = pages[passage.page - 1]
            end = [*pages, len(text)][passage.page]
            assert start <= passage.start < passage.end <= end
    assert all(done or character.isspace() for done, character in zip(covered, text, strict=True))
    assert [passage.start for passage in passages] == sorted(passage.start for passage in passages)


def test_context_is_title_and_headings_and_no_part_of_the_slice(encoder):
    text = "# Harbour\n\nIntroduction.\n\n## Fees\n\n" + "Ships pay a fee of ten crowns. " * 12
    text += "\n\n## Hours\n\n" + "Open at dawn on every day. " * 12
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings(passage_tokens=40)).chunk(
        make(text, kind="markdown", title="Harbour")
    )
    fees = [passage for passage in passages if "crowns" in passage.text and "#" not in passage.text]
    assert fees
    assert {passage.context for passage in fees} == {"Harbour\nFees"}
    assert all(passage.text in text for passage in passages)
    hours = passages[-1]
    assert "Open at dawn" in hours.text
    assert hours.context == "Harbour\nHours"
    assert hours.line == text[: hours.start].count("\n") + 1


def test_a_long_title_is_cut_and_leaves_room_for_the_passage(encoder):
    text = "Ships pay a fee of ten crowns. " * 60
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings(passage_tokens=240, context_tokens=200)).chunk(
        make(text, title="harbour " * 400)
    )
    assert all(len(encoder.tokenizer.encode(passage.in_context)) <= encoder.window for passage in passages)
    assert all(passage.text for passage in passages)


@pytest.mark.parametrize("text", ["word" * 5000, "ภาษาไทยไม่มีช่องว่าง" * 300])
def test_a_run_without_spaces_is_cut_by_characters(encoder, text):
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(make(text, title="a.txt"))
    assert max(len(passage.text) for passage in passages) <= 1800
    assert "".join(passage.text for passage in passages) == text


@pytest.mark.parametrize("text", ["", " \n\n", "x"])
def test_short_texts(encoder, text):
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(make(text, title="a.txt"))
    assert [passage.text for passage in passages] == ([text] if text.strip() else [])


def test_wrapped_lines_without_sentences_take_no_time(encoder):
    text = "\n".join("ACGT" * 17 for _ in range(3_000))  # where time grows with the square, ten times as long
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(make(text, title="a.txt"))
    assert max(len(passage.text) for passage in passages) <= 1400


def test_what_the_encoder_has_no_token_for_is_cut_too(encoder):
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(
        make("\u200b \u200b\n" * 4_000, title="a")
    )
    assert max(len(passage.text) for passage in passages) <= 1400
