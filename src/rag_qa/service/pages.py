"""Pages for people: asking, reading, and what the collection holds; all of it works without JavaScript."""

import hashlib
from bisect import bisect_right
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response, Router, get
from litestar.datastructures import MultiDict, State
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from rag_qa import __version__
from rag_qa.engine import Engine
from rag_qa.errors import InputError, NotFoundError
from rag_qa.evaluation.kept import kept_report
from rag_qa.evaluation.names import GROUPS
from rag_qa.filters import Filters, metadata_filters
from rag_qa.history import diff, entries, find
from rag_qa.references import FORMS, text_fragment, web_address
from rag_qa.service.live import lent_engine
from rag_qa.service.marking import marked
from rag_qa.service.problems import SECURITY_HEADERS, detail_of
from rag_qa.service.reader import MOST_MATCHES, link, matches, other_spans, outline, stretch, what_became_of
from rag_qa.types import Answer, Citation, Expansion, RankedPassage
from rag_qa.types import document_id as id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag_qa.service.marking import Span

__all__ = ["pages"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": POLICY,
    # The address of a page holds the question, which is nobody's business where a source is opened.
    "Referrer-Policy": "no-referrer",
}
STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
LISTED = 100
"""Documents on a page of the collection."""
FACETED = 20_000
"""Documents of a collection whose formats and languages are offered as filters; those of a larger one are typed."""
COUNTS = (5, 10, 20)


@get("/", sync_to_thread=True)
def home(request: Request[Any, Any, State], state: State) -> Response[str]:
    """The question box and, with `q`, the answer."""
    given = _given(request.query_params)
    question = " ".join(given.get("q", []))
    answer, problem, status = None, None, HTTPStatus.OK
    with lent_engine(state) as engine:
        if question:
            try:
                answer = engine.ask(question, _whole("k", given, COUNTS[0]), filters=_filters(given))
            except InputError as error:
                problem, status = str(error), HTTPStatus(error.http_status)
        return _page(
            "home.html",
            status,
            given=given,
            question=question,
            answer=answer,
            problem=problem,
            results=[_result(engine, answer, passage) for passage in answer.passages] if answer else [],
            counts=engine.manifest.counts,
            facets=_facets(engine),
            choices=COUNTS,
            longest=engine.settings.max_question_characters,
        )


@get("/read/{document_id:str}", sync_to_thread=True)
def read(request: Request[Any, Any, State], document_id: FromPath[str], state: State) -> Response[str] | Redirect:
    """A document at the place that is cited, or at a heading, page or match."""
    given = _given(request.query_params)
    start, end = _whole("start", given, 0), _whole("end", given, 0)
    quote = given.get("quote", [""])[0]
    wanted = given.get("find", [""])[0]
    with lent_engine(state) as engine:
        snapshot = engine.manifest.id
        document = engine.document(document_id)
        newer = given.get("snapshot", [snapshot])[0] != snapshot
        asked = bool(quote) or end > 0
        cited = what_became_of(document, start, end, quote, newer=newer) if asked else None
        span = cited.span if cited else None
        at = _whole("at", given, span[0] if span else start)
        if (page := _whole("page", given, 0)) and document.pages:
            page = min(page, len(document.pages))
            there = _query(given, page=None, at=document.pages[page - 1])
            return Redirect(f"/read/{document.id}?{there}#p{page}", status_code=303)
        at = min(at, len(document.text))
        found = matches(document.text, wanted)
        marks: dict[str, Sequence[Span]] = {
            "other": other_spans(given.get("also", [""])[0]),
            "found": [(match.start, match.start + len(match.text)) for match in found],
        }
        return _page(
            "read.html",
            HTTPStatus.OK,
            given=given,
            document=document,
            snapshot=snapshot,
            cited=cited,
            quote=quote,
            wanted=wanted,
            found=found[:MOST_MATCHES],
            more=len(found) > MOST_MATCHES,
            shown=stretch(document, at, span, marks, found),
            headings=outline(document.headings, at),
            address=text_fragment(web, quote) if (web := web_address(document.metadata)) else None,
            has_file=engine.has_source(document),
            page=bisect_right(document.pages, at),
        )


@get("/collection", sync_to_thread=True)
def collection(request: Request[Any, Any, State], state: State) -> Response[str]:
    """Documents, formats, failures, snapshots, and the last evaluation if it was of the one that answers."""
    given = _given(request.query_params)
    offset = _whole("offset", given, 0)
    with lent_engine(state) as engine:
        index = engine.snapshot.index
        snapshots = entries(index)
        compared = None
        if before := given.get("before", [""])[0]:
            if before not in {entry.name for entry in snapshots}:
                raise NotFoundError(f"There is no snapshot “{before[:80]}” any more: choose one of the collection's.")
            compared = diff(index, find(index, before), engine.snapshot.folder)
        return _page(
            "collection.html",
            HTTPStatus.OK,
            manifest=engine.manifest,
            name=engine.snapshot.name,
            documents=engine.documents(offset, LISTED),
            offset=offset,
            listed=LISTED,
            facets=_facets(engine),
            failed=engine.failed(),
            snapshots=snapshots,
            report=kept_report(index, engine),
            groups=GROUPS,
            compared=compared,
        )


@get("/static/{name:str}", sync_to_thread=True)
def static(name: FromPath[str]) -> Response[bytes]:
    """A file of the pages."""
    if name not in STATIC:
        raise NotFoundException
    kept = {"Cache-Control": "max-age=31536000, immutable"}  # its address holds its digest
    return Response(_static(name), media_type=STATIC[name], headers=kept)


def _page_problem(request: Request[Any, Any, State], error: Exception) -> Response[str]:
    """An error as a page."""
    status, detail = detail_of(error)
    page = _page("problem.html", HTTPStatus(status), detail=detail, quote=request.query_params.get("quote", ""))
    page.headers |= (error.headers or {}) if isinstance(error, HTTPException) else {}
    return page


pages = Router(
    path="/",
    route_handlers=[home, read, collection, static],
    include_in_schema=False,
    exception_handlers=dict.fromkeys((HTTPException, UnicodeDecodeError, RecursionError, Exception), _page_problem),
)


def _page(template: str, status: HTTPStatus, **context: Any) -> Response[str]:  # noqa: ANN401
    rendered = _environment().get_template(template).render(**context)
    return Response(rendered, status_code=status, media_type=MediaType.HTML, headers=HEADERS)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rag_qa.service"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "version": __version__,
        "static": _static_address,
        "marked": marked,
        "forms": FORMS,
        "query": _query,
        "defined": _defined,
    }
    return environment


def _static(name: str) -> bytes:
    return files("rag_qa.service").joinpath("static", name).read_bytes()


@cache
def _static_address(name: str) -> str:
    return f"/static/{name}?{hashlib.sha256(_static(name)).hexdigest()[:12]}"


def _query(given: dict[str, list[str]] | dict[str, str], **changed: object) -> str:
    """The query of an address, with some parameters changed or, with None, left out."""
    kept = {name: value for name, value in given.items() if name not in changed}
    return urlencode(kept | {name: str(value) for name, value in changed.items() if value is not None}, doseq=True)


def _facets(engine: Engine) -> dict[str, list[tuple[str, int]]] | None:
    return engine.facets() if engine.manifest.counts.documents <= FACETED else None


def _result(engine: Engine, answer: Answer, passage: RankedPassage) -> dict[str, Any]:
    """What the page shows of a passage besides itself: where it opens."""
    cited = passage.citation
    also = [
        (other.citation.start, other.citation.end)
        for other in answer.passages
        if other.citation.id == cited.id and other.rank != passage.rank
    ]
    info, _ = engine.info(cited.id)
    best = passage.highlights[0].text if passage.highlights else passage.text
    web = web_address(info.metadata)
    return {
        "passage": passage,
        "marks": {"answer": [(mark.start, mark.end) for mark in passage.highlights]},
        "read": _reading(cited, answer, passage.text, also),
        "also": [(other, _reading(other, answer, passage.text)) for other in passage.also_in],
        "web": text_fragment(web, best) if web else None,
        "date": str(info.metadata.get("date") or ""),
        "authors": info.metadata.get("authors") or [],
    }


def _reading(cited: Citation, answer: Answer, quote: str, also: "Sequence[Span]" = ()) -> str:
    return f"/read/{cited.id}?{urlencode(link(cited, answer, quote, also))}#cited"


def _defined(expansion: Expansion) -> str:
    """Where the reader shows what a term of the question was exchanged for."""
    place = {"start": expansion.start, "end": expansion.end}
    return f"/read/{id_of(expansion.document)}?{urlencode(place)}#cited"


def _given(query: MultiDict[Any]) -> dict[str, list[str]]:
    """The parameters of a page that say something: a form sends those that were left empty, too."""
    given: dict[str, list[str]] = {}
    for name, value in query.multi_items():
        if value.strip():
            given.setdefault(name, []).append(value)
    return given


def _whole(name: str, given: dict[str, list[str]], default: int) -> int:
    text = given.get(name, [str(default)])[0]
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise InputError(f"{name} is “{text[:40]}”: it must be a whole number.")
    return int(text)


def _filters(given: dict[str, list[str]]) -> Filters:
    return Filters(
        document=tuple(given.get("document", [])),
        format=tuple(given.get("format", [])),
        language=tuple(given.get("language", [])),
        date_from=given.get("date_from", [None])[0],
        date_to=given.get("date_to", [None])[0],
        metadata=metadata_filters(given.get("metadata", [])),
    )
