"""Checks the citations of an answer, against the source files as they are now or against a snapshot."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from rag_qa.errors import InputError
from rag_qa.files import file_sha256, named_path
from rag_qa.schemas import json_decoder
from rag_qa.settings import Settings
from rag_qa.text.quotes import nearest
from rag_qa.text.structure import Outline, line_of, page_of
from rag_qa.types import Answer, Citation, Document, RankedPassage

__all__ = [
    "CheckedCitation",
    "Place",
    "SourceState",
    "Verification",
    "decode_answer",
    "find_quote",
    "locate_source",
    "source_states",
    "verify",
    "verify_sources",
]

_ANSWERS = json_decoder(Answer)
State = Literal["holds", "changed", "gone", "forged", "unreadable"]


class Place(Struct, frozen=True, kw_only=True):
    """Place of a quote in a document."""

    document: str
    start: int
    end: int
    page: int | None
    line: int


class CheckedCitation(Struct, frozen=True, kw_only=True):
    """Result of checking one citation.

    `holds`: the quote stands in the source exactly where the citation says. `changed`: the source has other bytes now;
    `found` is where the quote still occurs, if it does. `gone`: there is no such source. `forged`: the source has the
    bytes that were cited, but the quote, its place, a highlight or a name is not what it says. `unreadable`: the source
    could not be read. Against sources, the title is not compared: a sidecar may have set it. Rank, score and counts
    are no part of a citation.
    """

    rank: int
    document: str
    source: str
    state: State
    detail: str
    found: Place | None = None


class Verification(Struct, frozen=True, kw_only=True):
    """Results of checking an answer's citations, in the order of their ranks."""

    question: str
    snapshot: str
    holds: bool
    citations: list[CheckedCitation]


class SourceState(Struct, frozen=True):
    """A cited source file that is no longer what was indexed."""

    source: str
    state: str
    """`changed`, `gone` or `unreadable`."""


class Unreadable(Struct, frozen=True):
    """A source that could not be read, and why."""

    reason: str


Find = Callable[[Citation], Sequence[Document] | Unreadable]
"""The documents that there are now where a citation points; none where there is no such source."""


def decode_answer(data: bytes) -> Answer:
    """An answer as `rag-qa ask --json` and `POST /ask` give it.

    Raises:
        InputError: it is none.
    """
    try:
        return _ANSWERS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"This is no answer of `rag-qa ask --json` ({error}): give its output as it was.") from None


def verify(answer: Answer, find: Find, *, same_snapshot: bool = False) -> Verification:
    """Checks every citation of an answer, of which there may be none, against the documents that `find` gives.

    Args:
        answer: what was answered, by whomever.
        find: gives the documents that there are now where a citation points.
        same_snapshot: whether these are of the snapshot that answered: then nothing can have changed since.
    """
    checked = [_check(passage, find(passage.citation), same_snapshot=same_snapshot) for passage in answer.passages]
    return Verification(
        question=answer.question,
        snapshot=answer.snapshot,
        holds=all(citation.state == "holds" for citation in checked),
        citations=checked,
    )


def verify_sources(answer: Answer, folders: Sequence[Path], settings: Settings) -> Verification:
    """Checks every citation of an answer against its source file, which is parsed again.

    Args:
        answer: what was answered, by whomever.
        folders: where sources that are named by a relative path may lie; the first that has one counts.
        settings: how files are read.
    """
    from rag_qa.ingest.parsers.ocr import check_ocr
    from rag_qa.ingest.parsers.pool import ParserPool  # asking, which imports this module, reads no files
    from rag_qa.ingest.sources import SourceFile, refused

    if settings.ocr:
        check_ocr(settings.ocr_language)
    files: dict[str, SourceFile] = {}
    now: dict[str, Sequence[Document] | Unreadable] = {}
    for passage in answer.passages:
        citation = passage.citation
        location = locate_source(citation.source, folders)
        if location is not None and (reason := refused(location.stat(), settings.max_file_mb)):
            now[citation.source] = Unreadable(reason)
        elif location is not None:
            name = citation.document if citation.record is None else citation.document.rpartition("#")[0]
            files[citation.source] = SourceFile(location, name, citation.source)
    with ParserPool(settings) as pool:
        for file, read in pool.read(list(files.values())):
            now[file.source] = Unreadable(read.reason) if read.reason is not None else read.documents
    return verify(answer, lambda citation: now.get(citation.source, ()))


def source_states(answer: Answer, folders: Sequence[Path]) -> list[SourceState]:
    """The cited source files that have other bytes now, in order of rank; quicker than parsing them."""
    cited = {passage.citation.source: passage.citation.sha256 for passage in answer.passages}
    states = {source: _state(locate_source(source, folders), sha256) for source, sha256 in cited.items()}
    return [SourceState(source, state) for source, state in states.items() if state is not None]


def _state(location: Path | None, sha256: str) -> str | None:
    if location is None:
        return "gone"
    try:
        return None if file_sha256(location) == sha256 else "changed"
    except OSError:
        return "unreadable"


def locate_source(source: str, folders: Sequence[Path]) -> Path | None:
    """The file of a citation's source, under the first of the folders that has it, or None."""
    try:
        return next((path for folder in folders if (path := folder / named_path(source)).is_file()), None)
    except (OSError, ValueError):  # a name that is too long, a folder that may not be searched, a NUL
        return None


def _check(
    passage: RankedPassage, documents: Sequence[Document] | Unreadable, *, same_snapshot: bool
) -> CheckedCitation:
    citation = passage.citation
    state: State
    found = None
    if isinstance(documents, Unreadable):
        state, detail = "unreadable", f"The source cannot be read now: {documents.reason}."
    elif not documents:
        state, detail = "gone", "There is no such source any more."
        if same_snapshot:
            state, detail = "forged", "The snapshot that answered has no such document."
    else:
        state, detail, found = _compare(passage, documents, same_snapshot=same_snapshot)
    return CheckedCitation(
        rank=passage.rank,
        document=citation.document,
        source=citation.source,
        state=state,
        detail=detail,
        found=found,
    )


def _compare(
    passage: RankedPassage, documents: Sequence[Document], *, same_snapshot: bool
) -> tuple[State, str, Place | None]:
    """State, detail and place of a citation whose source is there."""
    citation = passage.citation
    cited = next((document for document in documents if document.record == citation.record), None)
    cited_first = sorted(documents, key=lambda document: document is not cited)
    if same_snapshot or any(document.sha256 == citation.sha256 for document in documents):
        wrong = _what_is_wrong(passage, cited, with_title=same_snapshot) if cited else "it has no such record"
        if wrong is None:
            return "holds", "The quote stands in the source, exactly there.", None
        return (
            "forged",
            f"The source has the cited bytes, but {wrong}.",
            find_quote(passage.text, citation.start, cited_first),
        )
    found = find_quote(passage.text, citation.start, cited_first)
    if found is None:
        return "changed", "The source has changed, and the quote does not occur in it any more.", None
    return "changed", f"The source has changed; the quote still occurs, {_told(found)}.", found


def _what_is_wrong(passage: RankedPassage, document: Document, *, with_title: bool) -> str | None:
    """Returns the reason why a citation does not describe its quote, or None."""
    citation = passage.citation
    if not 0 <= citation.start < citation.end <= len(document.text):
        return f"it has no characters {citation.start} to {citation.end}"
    if document.text[citation.start : citation.end] != passage.text:
        return f"its characters {citation.start} to {citation.end} are not the quote"
    place = _place(document, citation.start, citation.end)
    if (place.page, place.line) != (citation.page, citation.line):
        return f"the quote is {_told(place)}"
    for mark in passage.highlights:
        inside = citation.start <= mark.start < mark.end <= citation.end
        if not inside or document.text[mark.start : mark.end] != mark.text:
            return "a highlight is no part of the quote"
    described = {
        "id": document.id,
        "document": document.path,
        "source": document.source,
        "sha256": document.sha256,
        "page_unit": document.page_unit if document.pages else None,
        "section": Outline(document.headings).section(citation.start),
    }
    if with_title:
        described["title"] = document.title
    return next(
        (f"its {name} is “{value}”" for name, value in described.items() if getattr(citation, name) != value), None
    )


def find_quote(quote: str, near: int, documents: Sequence[Document]) -> Place | None:
    """Finds a quote, letter for letter or else with other white space, nearest to where it stood."""
    for document in documents:
        if span := nearest(document.text, quote, near):
            return _place(document, *span)
    return None


def _place(document: Document, start: int, end: int) -> Place:
    return Place(
        document=document.path,
        start=start,
        end=end,
        page=page_of(document.pages, start),
        line=line_of(document.text, start),
    )


def _told(place: Place) -> str:
    where = f"on page {place.page}" if place.page is not None else f"in line {place.line}"
    return f"{where}, characters {place.start} to {place.end}"
