"""References in every form, for quotes that try to break out of it."""

import json
import re
from urllib.parse import unquote

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec import structs

from rag_qa.answering.references import FORMS, Reference, text_fragment, web_address
from rag_qa.types import Citation

QUOTE = "Ships pay a fee of ten crowns."
SHA256 = "ab" * 32


def reference(quote=QUOTE, metadata=None, **cited):
    fields = {
        "id": "0123456789abcdef",
        "document": "law/fees.pdf",
        "title": "Harbour fees",
        "source": "papers/law/fees.pdf",
        "sha256": SHA256,
        "start": 120,
        "end": 150,
        "page": 3,
        "line": 40,
        "page_unit": "page",
        "section": "Fees › Ships",
    }
    return Reference(
        quote=quote, citation=Citation(**fields | cited), snapshot="fedcba9876543210", metadata=metadata or {}
    )


FULL = {
    "authors": ["Anna Berg", "Bo Lund"],
    "date": "2024-05-17T09:00:00",
    "url": "https://a.org/fees",
    "language": "en",
}
PROOF = f"law/fees.pdf, characters 120 to 150, sha256 {SHA256}, snapshot fedcba9876543210"


def written(form, *arguments, **options):
    return FORMS[form].write(reference(*arguments, **options))


def test_facts_of_a_reference():
    whole = reference(metadata=FULL)
    assert whole.authors == ["Anna Berg", "Bo Lund"]
    assert (whole.date, whole.address) == ("2024-05-17", "https://a.org/fees")
    assert whole.place == "page 3, Fees › Ships"
    assert whole.proof == PROOF
    assert whole.described == (
        "Anna Berg, Bo Lund. Harbour fees. 2024-05-17. page 3, Fees › Ships. https://a.org/fees."
    )


def test_what_a_document_does_not_say_is_left_out():
    bare = reference(page=None, page_unit=None, section="")
    assert (bare.authors, bare.date, bare.address, bare.place) == ([], "", None, "line 40")
    assert bare.described == "Harbour fees. line 40."
    assert reference(metadata={"authors": "Anna Berg"}).authors == ["Anna Berg"]
    assert reference(metadata={"date": "May 2024"}).date == ""
    assert reference(page_unit="slide", section="").place == "slide 3"


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("https://example.org/a?b=c#d", True),
        ("http://example.org", True),
        ("ftp://example.org", False),
        ("javascript:alert(1)", False),
        ("https://", False),
        ("https://[::1", False),
        ("https://example.org/a b", False),
        ("https://example.org/\x01", False),
        (7, False),
        (None, False),
    ],
)
def test_an_address_is_one_of_the_web_or_none(address, found):
    assert web_address({"url": address}) == (address if found else None)


@pytest.mark.parametrize(
    ("quote", "fragment"),
    [
        ("Ships pay", "#:~:text=Ships%20pay"),
        ("one two three four five six seven eight nine ten", "#:~:text=one%20two%20three%20four%20five%20six%20seven"
         "%20eight%20nine%20ten"),
        ("one two three four five 6 seven eight nine ten eleven", "#:~:text=one%20two%20three%20four%20five,"
         "seven%20eight%20nine%20ten%20eleven"),
        ("a well-known fee, & more", "#:~:text=a%20well%2Dknown%20fee%2C%20%26%20more"),
        ("short\nthe longest line\r\nend", "#:~:text=the%20longest%20line"),
        (" \n ", ""),
    ],
)  # fmt: skip
def test_the_fragment_names_both_ends_of_one_line(quote, fragment):
    assert text_fragment("https://a.org/p", quote) == f"https://a.org/p{fragment}"


def test_a_fragment_that_is_there_already_is_kept():
    assert text_fragment("https://a.org/p#fees", "Ships") == "https://a.org/p#fees:~:text=Ships"


def test_plain_text():
    assert written("text", metadata=FULL) == (
        f"“{QUOTE}”\n"
        "Anna Berg, Bo Lund. Harbour fees. 2024-05-17. page 3, Fees › Ships. https://a.org/fees.\n"
        f"[{PROOF}]\n"
    )


def test_markdown_shows_a_quote_as_it_is():
    quote = "# No heading\n- no list\n12. no number\n<b>*no* `markup`</b> [x](y)\n\n1987 was | cold"
    lines = written("markdown", quote).splitlines()
    assert lines[:6] == [
        r"> \# No heading",
        r"> \- no list",
        r"> 12\. no number",
        r"> \<b\>\*no\* \`markup\`\</b\> \[x\](y)",
        ">",
        r"> 1987 was \| cold",
    ]
    assert lines[6:] == [
        ">",
        "> — Harbour fees. page 3, Fees › Ships.",
        ">",
        f"> `{PROOF}`",
    ]


def test_csl_has_what_is_known():
    (item,) = json.loads(written("csl", metadata=FULL))
    assert item == {
        "id": "0123456789abcdef-120",
        "type": "webpage",
        "title": "Harbour fees",
        "author": [{"literal": "Anna Berg"}, {"literal": "Bo Lund"}],
        "issued": {"date-parts": [[2024, 5, 17]]},
        "URL": "https://a.org/fees",
        "language": "en",
        "page": "3",
        "source": "law/fees.pdf",
        "abstract": QUOTE,
        "note": f"page 3, Fees › Ships; {PROOF}",
    }
    (bare,) = json.loads(written("csl", page=None, page_unit=None, section=""))
    assert bare.keys() == {"id", "type", "title", "source", "abstract", "note"}
    assert bare["type"] == "document"


def test_bibtex_has_what_is_known():
    assert written("bibtex", metadata=FULL | {"date": "2024-05"}) == (
        "@misc{0123456789abcdef-120,\n"
        "  title = {Harbour fees},\n"
        "  author = {{Anna Berg} and {Bo Lund}},\n"
        "  year = {2024},\n"
        "  month = {05},\n"
        "  howpublished = {law/fees.pdf},\n"
        f"  note = {{“{QUOTE}” (page 3, Fees › Ships; {PROOF})}},\n"
        "  url = {https://a.org/fees}\n"
        "}\n"
    )


def test_bibtex_escapes_what_latex_would_obey():
    text = written("bibtex", "100 % of $5_000 & {all} #1 \\input ~x ^y", metadata={"url": "https://a.org/a{b}"})
    assert (
        r"“100 \% of \$5\_000 \& \textbraceleft{}all\textbraceright{} \#1 \textbackslash{}input "
        r"\textasciitilde{}x \textasciicircum{}y”"
    ) in text
    assert "url = {https://a.org/a%7Bb%7D}" in text


ODD = st.text(alphabet=st.sampled_from("ab \n\r\\{}`*_<>#%&~^$[]|-+=.1)\"'é😀"), min_size=1, max_size=40)


@given(ODD, ODD)
def test_no_quote_or_title_breaks_out_of_its_form(quote, title):
    (item,) = json.loads(written("csl", quote, title=title))
    assert item["abstract"] == quote
    bibtex = re.sub(r"\\textbackslash\{\}|\\text\w+\{\}|\\[&%$#_]", "", written("bibtex", quote, title=title))
    assert bibtex.count("{") == bibtex.count("}")
    assert all(line.startswith(("@misc{", "  ", "}")) for line in bibtex.splitlines())
    assert all(line.startswith(">") for line in re.split("\n", written("markdown", quote, title=title))[:-1])


@given(st.text(max_size=60))
def test_a_fragment_is_words_of_the_quote(quote):
    _, _, named = text_fragment("https://a.org", quote).partition("#:~:text=")
    for end in named.split(",") if named else []:
        assert unquote(end) in " ".join(quote.split())


REFERENCE = Reference(
    quote='Fees & "dues" of 100 %\nare {paid}_once.',
    citation=Citation(
        id="d2f1", document="a#1.txt", title="Fees_and [dues]", source="a.txt", sha256="ab", start=3, end=42, page=None,
        line=2, section="Rules › Fees",
    ),
    snapshot="5d1c",
    metadata={"authors": ["Ada Lovelace", "UN & Co"], "date": "2024-05-17T10:00:00", "url": "https://example.org/a_b?c=d"},
)  # fmt: skip


def test_references_in_all_forms():
    written = {name: form.write(REFERENCE) for name, form in FORMS.items()}
    assert written["text"] == (
        '“Fees & "dues" of 100 %\nare {paid}_once.”\n'
        "Ada Lovelace, UN & Co. Fees_and [dues]. 2024-05-17. line 2, Rules › Fees. https://example.org/a_b?c=d.\n"
        "[a#1.txt, characters 3 to 42, sha256 ab, snapshot 5d1c]\n"
    )
    assert written["markdown"].startswith('> Fees \\& "dues" of 100 %\n> are \\{paid\\}\\_once.\n>\n> — Ada Lovelace')
    (item,) = json.loads(written["csl"])
    assert item["issued"] == {"date-parts": [[2024, 5, 17]]}
    assert item["author"] == [{"literal": "Ada Lovelace"}, {"literal": "UN & Co"}]
    assert (item["type"], item["URL"]) == ("webpage", "https://example.org/a_b?c=d")
    assert "page" not in item
    assert written["bibtex"].startswith("@misc{d2f1-3,\n  title = {Fees\\_and [dues]},\n")
    assert "author = {{Ada Lovelace} and {UN \\& Co}}" in written["bibtex"]
    assert "100 \\% are \\textbraceleft{}paid\\textbraceright{}\\_once." in written["bibtex"]


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\n #*-+=1.)>&;`~"), max_size=80))
def test_every_form_holds_the_quote(quote):
    reference = structs.replace(REFERENCE, quote=quote)
    written = {name: form.write(reference) for name, form in FORMS.items()}
    assert f"“{quote}”" in written["text"]
    assert json.loads(written["csl"])[0].get("abstract", "") == quote
    assert written["bibtex"].count("{") == written["bibtex"].count("}")
    rendered = lxml.html.fromstring(MarkdownIt("commonmark").render(written["markdown"]))
    *paragraphs, _, _ = rendered.xpath("//blockquote/*")
    assert {each.tag for each in paragraphs} <= {"p"}
    assert " ".join(each.text_content() for each in paragraphs).split() == quote.split()


def test_text_fragments():
    assert text_fragment("https://a.org/x", "Fees, and-dues") == "https://a.org/x#:~:text=Fees%2C%20and%2Ddues"
    long = " ".join(f"w{number}" for number in range(20))
    assert text_fragment("https://a.org/#top", long).endswith(
        "#top:~:text=w0%20w1%20w2%20w3%20w4,w15%20w16%20w17%20w18%20w19"
    )
    assert text_fragment("https://a.org", "") == "https://a.org"
    assert text_fragment("https://a.org", "Fees\nAll ships pay a fee.").endswith("=All%20ships%20pay%20a%20fee.")
    assert web_address({"url": "javascript:alert(1)"}) is None
    assert web_address({"url": "https://[x"}) is None
    assert web_address({"url": "https:///path"}) is None
    assert web_address({}) is None
