"""HTML: the main content through trafilatura, without the menus and notices around it."""

from importlib.metadata import version

from rag_qa.errors import ReadError
from rag_qa.ingest.parsers.kreuzberg import read_with_kreuzberg
from rag_qa.ingest.parsers.record import Record, locate_headings

__all__ = ["WEB", "read_html"]

WEB = frozenset({".htm", ".html", ".xhtml"})
SMALLEST_SHARE = 0.05  # of all text; a main content below it was not found


def read_html(data: bytes, suffix: str) -> Record:
    """Parses a web page; where no main content is found, all of its text.

    Raises:
        ReadError: it cannot be read as HTML.
    """
    import trafilatura
    from trafilatura.settings import Document as Page

    try:
        everything = read_with_kreuzberg(data, suffix)
    except ReadError as error:
        everything, reason = None, error
    page = trafilatura.bare_extraction(
        data,
        include_comments=False,
        favor_recall=True,
        with_metadata=True,
        date_extraction_params={"extensive_search": False, "original_date": True},  # no guesses from the text
    )
    if not isinstance(page, Page) or not page.text:
        if everything is None:
            raise reason
        return everything
    if everything and len(page.text) < SMALLEST_SHARE * len(everything.text):
        return everything
    given = everything.metadata if everything else {}
    heads = page.body.iter("head") if page.body is not None else ()
    titles = [(int((head.get("rend") or "h6")[1:]), "".join(head.itertext()).strip()) for head in heads]
    return Record(
        text=page.text,
        parser=f"trafilatura/{version('trafilatura')}",
        title=page.title or (everything.title if everything else None),
        headings=locate_headings(page.text, titles),
        metadata={
            "language": page.language or given.get("language"),
            "authors": (page.author or "").split("; "),
            "date": page.date,
            "url": page.url,
            "format": "html",
        },
    )
