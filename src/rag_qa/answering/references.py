"""A quote with all that a stranger needs to find and check it, in the forms that texts and reference managers take."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote as percent_encoded
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from rag_qa.filters import PERIOD
from rag_qa.text.structure import LINE_END
from rag_qa.types import Citation

__all__ = ["FORMS", "Form", "Reference", "text_fragment", "web_address"]

FRAGMENT_WORDS = 5
"""Words of the beginning, and of the end, that a text fragment names of a longer quote."""
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|&~$]|^[-+=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|(?<=^\d{3})[.)]|(?<=^\d{4})[.)])")
"""Pattern of the characters that Markdown could read as markup, in a line without the white space before it."""
LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: rf"\{character}" for character in "&%$#_"},
}


class Reference(Struct, frozen=True, kw_only=True):
    """A quote with its citation and the metadata of its document."""

    quote: str
    citation: Citation
    snapshot: str
    metadata: Mapping[str, Any]
    """Metadata of the document."""

    @property
    def authors(self) -> list[str]:
        """Authors as the document names them."""
        named = self.metadata.get("authors") or []
        return [str(name) for name in (named if isinstance(named, list) else [named])]

    @property
    def date(self) -> str:
        """Date of the document, ISO 8601: a year, a month or a day; empty where it names none."""
        found = PERIOD.match(str(self.metadata.get("date") or ""))
        return found[0] if found else ""

    @property
    def address(self) -> str | None:
        """Address of the document on the web, if it names one."""
        return web_address(self.metadata)

    @property
    def place(self) -> str:
        """Page, or line, and section, for people."""
        cited = self.citation
        where = f"{cited.page_unit or 'page'} {cited.page}" if cited.page is not None else f"line {cited.line}"
        return f"{where}, {cited.section}" if cited.section else where

    @property
    def proof(self) -> str:
        """Facts by which the quote can be checked."""
        cited = self.citation
        stretch = f"characters {cited.start} to {cited.end}"
        return f"{_in_line(cited.document)}, {stretch}, sha256 {cited.sha256}, snapshot {self.snapshot}"

    @property
    def described(self) -> str:
        """Authors, title, date, place and address, in one line."""
        parts = [", ".join(self.authors), _in_line(self.citation.title), self.date, self.place, self.address or ""]
        return ". ".join(part for part in parts if part) + "."


class Form(Struct, frozen=True):
    """A form of references."""

    label: str
    media_type: str
    write: Callable[[Reference], str]


def text_fragment(address: str, quote: str) -> str:
    """A web address that opens at the quote, where the browser knows them (WICG, "URL Fragment Text Directives")."""
    words = max(LINE_END.split(quote), key=len).split()  # both ends have to lie in one block of the page
    if not words:
        return address
    ends = [words] if len(words) <= 2 * FRAGMENT_WORDS else [words[:FRAGMENT_WORDS], words[-FRAGMENT_WORDS:]]
    named = ",".join(percent_encoded(" ".join(end), safe="").replace("-", "%2D") for end in ends)
    return f"{address}{'' if '#' in address else '#'}:~:text={named}"


def web_address(metadata: Mapping[str, Any]) -> str | None:
    """The address that a document gives of itself, if it is one of the web."""
    address = metadata.get("url")
    try:
        parts = urlsplit(address if isinstance(address, str) else "")
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    return str(address) if is_web and not re.search(r"[\s\x00-\x1f]", str(address)) else None


def _text(reference: Reference) -> str:
    return f"“{reference.quote}”\n{reference.described}\n[{reference.proof}]\n"


def _markdown(reference: Reference) -> str:
    lines = [line.strip() for line in LINE_END.split(reference.quote)]
    quoted = "\n".join(f"> {MARKDOWN.sub(_escaped, line)}".rstrip() for line in lines)
    described = MARKDOWN.sub(_escaped, _in_line(reference.described))
    return f"{quoted}\n>\n> — {described}\n>\n> `{_in_line(reference.proof).replace('`', '')}`\n"


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[1]}"


def _csl(reference: Reference) -> str:
    item: dict[str, Any] = {
        "id": _key(reference),
        "type": "webpage" if reference.address else "document",
        "title": reference.citation.title,
        "author": [{"literal": name} for name in reference.authors],
        "issued": {"date-parts": [[int(part) for part in reference.date.split("-")]]} if reference.date else None,
        "URL": reference.address,
        "language": reference.metadata.get("language"),
        "page": str(reference.citation.page) if reference.citation.page is not None else None,
        "source": reference.citation.document,
        "abstract": reference.quote,
        "note": f"{reference.place}; {reference.proof}",
    }
    kept = {name: value for name, value in item.items() if value}
    return msgspec.json.format(msgspec.json.encode([kept])).decode() + "\n"


def _bibtex(reference: Reference) -> str:
    year, month, _ = [*reference.date.split("-"), "", ""][:3]
    fields = {
        "title": reference.citation.title,
        "author": " and ".join(f"{{{_latex(name)}}}" for name in reference.authors),
        "year": year,
        "month": month,
        "howpublished": reference.citation.document,
        "note": f"“{_in_line(reference.quote)}” ({reference.place}; {reference.proof})",
    }
    lines = [
        f"  {name} = {{{value if name == 'author' else _latex(_in_line(value))}}}"
        for name, value in fields.items()
        if value
    ]
    if reference.address:
        lines.append(f"  url = {{{percent_encoded(reference.address, safe=':/?#[]@!$&()*+,;=~%')}}}")
    return f"@misc{{{_key(reference)},\n" + ",\n".join(lines) + "\n}\n"


def _key(reference: Reference) -> str:
    return f"{reference.citation.id}-{reference.citation.start}"


def _in_line(text: str) -> str:
    return " ".join(text.split())


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


FORMS = {
    "text": Form("plain text", "text/plain", _text),
    "markdown": Form("Markdown", "text/markdown", _markdown),
    "csl": Form("CSL-JSON", "application/vnd.citationstyles.csl+json", _csl),
    "bibtex": Form("BibTeX", "application/x-bibtex", _bibtex),
}
"""The forms by name."""
