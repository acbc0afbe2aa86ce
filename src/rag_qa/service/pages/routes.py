"""Pages for people: questions, documents and the collection; all of them work without JavaScript."""

from bisect import bisect_right
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, Router, get
from litestar.datastructures import MultiDict, State
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.params import FromPath
from litestar.response import Redirect

from rag_qa.answering.references import text_fragment, web_address
from rag_qa.engine import Engine
from rag_qa.errors import InputError, NotFoundError
from rag_qa.evaluation.names import GROUPS
from rag_qa.evaluation.report.saved import kept_report
from rag_qa.filters import Filters, metadata_filters
from rag_qa.index import open_history
from rag_qa.service.ask import ask_observed
from rag_qa.service.http.authentication import OPEN
from rag_qa.service.http.problems import detail_of
from rag_qa.service.live import lent_engine
from rag_qa.service.pages.document_view import (
    LONGEST_CITED,
    LONGEST_SEARCH,
    MOST_MATCHES,
    link,
    matches,
    other_spans,
    outline,
    stretch,
    what_became_of,
)
from rag_qa.service.pages.renderer import query, rendered, static_file
from rag_qa.service.pages.sign_in import sign_in, sign_in_page, sign_out, to_sign_in
from rag_qa.text.quotes import nearest
from rag_qa.types import Answer, Citation, DocumentInfo, Expansion, RankedPassage
from rag_qa.types import document_id as id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag_qa.service.pages.markup import Span

__all__ = ["pages"]

LISTED = 100
"""Documents on a page of the collection."""
FACETED = 20_000
"""Documents of a collection whose formats and languages are offered as filters; those of a larger one are typed."""
COUNTS = (5, 10, 20)
FILTERS = ("document", "format", "language", "date_from", "date_to", "metadata")

Given = dict[str, list[str]]
"""The parameters of a page that say something, with their values."""


@get("/", sync_to_thread=True)
def home(request: Request[Any, Any, State], state: State) -> Response[str]:
    """The question box and, with `q`, the answer."""
    given = _given(request.query_params)
    question = " ".join(given.get("q", []))
    answer, problem, status, k = None, None, HTTPStatus.OK, COUNTS[0]
    with lent_engine(state) as engine:
        if question:
            try:
                k = _whole("k", given, k)
                answer = ask_observed(engine, question, k, filters=_filters(given))
            except InputError as error:
                problem, status = str(error), HTTPStatus(error.http_status)
        return rendered(
            "home.html",
            request,
            status,
            given=given,
            question=question,
            answer=answer,
            problem=problem,
            results=[_result(engine, answer, passage) for passage in answer.passages] if answer else [],
            defined=[(each, _defined(each)) for each in answer.expansions] if answer else [],
            filtered=[name for name in FILTERS if name in given],
            counts=engine.info.counts,
            facets=_facets(engine),
            k=k,
            choices=sorted({*COUNTS, k}),
            longest=engine.settings.max_question_characters,
        )


@get("/read/{document_id:str}", sync_to_thread=True)
def read(request: Request[Any, Any, State], document_id: FromPath[str], state: State) -> Response[str] | Redirect:
    """A document at the place that is cited, or at a heading, page or match."""
    given = _given(request.query_params)
    start, end = _whole("start", given, 0), _whole("end", given, 0)
    quote, wanted = _words("quote", given, LONGEST_CITED), _words("find", given, LONGEST_SEARCH)
    with lent_engine(state) as engine:
        try:
            document = engine.collection.document(document_id)
        except NotFoundError as error:
            return _gone(request, engine, error, given, quote)
        snapshot = engine.info.id
        newer = given.get("snapshot", [snapshot])[0] != snapshot
        asked = bool(quote) or end > 0
        cited = what_became_of(document, start, end, quote, newer=newer) if asked else None
        span = cited.span if cited else None
        at = _whole("at", given, span[0] if span else start)
        if (page := _whole("page", given, 0)) and document.pages:
            page = min(page, len(document.pages))
            there = query(given, page=None, at=document.pages[page - 1])
            return Redirect(f"/read/{document.id}?{there}#p{page}", status_code=303)
        at = min(at, len(document.text))
        found = matches(document.text, wanted)
        # Other passages are named by their offsets alone, which hold in the snapshot that they are of.
        others = [] if newer else other_spans(given.get("also", [""])[0])
        marks = {"other": others, "found": [(match.start, match.start + len(match.text)) for match in found]}
        return rendered(
            "read.html",
            request,
            given=given,
            document=document,
            cited=cited,
            quote=quote,
            wanted=wanted,
            found=found[:MOST_MATCHES],
            more=len(found) > MOST_MATCHES,
            shown=stretch(document, at, span, marks, found),
            headings=outline(document.headings, at),
            address=text_fragment(web, quote) if (web := web_address(document.metadata)) else None,
            has_file=_has_file(engine, document),
            page=bisect_right(document.pages, at),
        )


@get("/collection", sync_to_thread=True)
def collection(request: Request[Any, Any, State], state: State) -> Response[str]:
    """Documents, formats, failures, snapshots, and the last evaluation if it was of the one that answers."""
    given = _given(request.query_params)
    offset = _whole("offset", given, 0)
    with lent_engine(state) as engine:
        index = engine.index.folder
        history = open_history(index)
        snapshots = history.entries()
        compared = None
        if before := given.get("before", [""])[0]:
            if before not in {entry.name for entry in snapshots}:
                raise NotFoundError(f"There is no snapshot “{before[:80]}” any more: choose one of the collection's.")
            compared = history.diff(history.resolve(before), engine.info.name)
        return rendered(
            "collection.html",
            request,
            snapshot=engine.info,
            documents=engine.collection.documents(offset, LISTED),
            offset=offset,
            listed=LISTED,
            facets=_facets(engine),
            failed=engine.collection.failed(),
            snapshots=snapshots,
            report=kept_report(index, engine),
            groups=GROUPS,
            compared=compared,
        )


@get("/static/{name:str}", opt=OPEN, sync_to_thread=True)
def static(name: FromPath[str]) -> Response[bytes]:
    """A file of the pages."""
    return static_file(name)


def _page_problem(request: Request[Any, Any, State], error: Exception) -> Response[Any]:
    """An error as a page; where a key is needed, the form for one."""
    if isinstance(error, NotAuthorizedException):
        return to_sign_in(request)
    status, detail = detail_of(error)
    quote = request.query_params.get("quote", "")[:LONGEST_CITED]
    page = rendered("problem.html", request, HTTPStatus(status), detail=detail, quote=quote, elsewhere=[])
    page.headers |= (error.headers or {}) if isinstance(error, HTTPException) else {}
    return page


pages = Router(
    path="/",
    route_handlers=[home, read, collection, static, sign_in_page, sign_in, sign_out],
    include_in_schema=False,
    exception_handlers=dict.fromkeys((HTTPException, UnicodeDecodeError, RecursionError, Exception), _page_problem),
)


def _gone(
    request: Request[Any, Any, State], engine: Engine, error: NotFoundError, given: Given, quote: str
) -> Response[str]:
    """The page of a citation whose document is gone: what it quotes, and where else the words stand."""
    detail = str(error)
    if named := given.get("document", [""])[0]:
        detail = f"“{named[:200]}” is not in the collection any more."
    elsewhere: dict[str, tuple[DocumentInfo, str]] = {}
    question = quote[: engine.settings.max_question_characters]
    for passage in engine.ask(question).passages if question.strip() else []:
        document = engine.collection.document(passage.citation.id)
        if span := nearest(document.text, quote, passage.citation.start):
            place = {"start": span[0], "end": span[1], "quote": document.text[slice(*span)]}
            elsewhere[document.id] = document, f"/read/{document.id}?{query(place)}#cited"
    elsewhere_now = list(elsewhere.values())
    return rendered("problem.html", request, HTTPStatus.NOT_FOUND, detail=detail, quote=quote, elsewhere=elsewhere_now)


def _has_file(engine: Engine, document: DocumentInfo) -> bool:
    try:
        engine.collection.source_file(document)
    except NotFoundError:
        return False
    return True


def _facets(engine: Engine) -> dict[str, list[tuple[str, int]]] | None:
    return engine.collection.facets() if engine.info.counts.documents <= FACETED else None


def _result(engine: Engine, answer: Answer, passage: RankedPassage) -> dict[str, Any]:
    """Links from a passage on the page."""
    cited = passage.citation
    also = [
        (other.citation.start, other.citation.end)
        for other in answer.passages
        if other.citation.id == cited.id and other.rank != passage.rank
    ]
    info, _ = engine.collection.info(cited.id)
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
    return f"/read/{cited.id}?{query(link(cited, answer, quote, also))}#cited"


def _defined(expansion: Expansion) -> str:
    """Link to the place of the term that a term of the question was exchanged for."""
    return f"/read/{id_of(expansion.document)}?{query({'start': expansion.start, 'end': expansion.end})}#cited"


def _given(parameters: MultiDict[Any]) -> Given:
    """A form sends also those parameters that were left empty: they are left out."""
    given: Given = {}
    for name, value in parameters.multi_items():
        if value.strip():
            given.setdefault(name, []).append(value)
    return given


def _whole(name: str, given: Given, default: int) -> int:
    text = given.get(name, [str(default)])[0]
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise InputError(f"{name} is “{text[:40]}”: it must be a whole number.")
    return int(text)


def _words(name: str, given: Given, most: int) -> str:
    text = given.get(name, [""])[0]
    if len(text) > most:
        raise InputError(f"{name} has {len(text)} characters: at most {most:,} can be looked for.")
    return text


def _filters(given: Given) -> Filters:
    return Filters(
        document=tuple(given.get("document", [])),
        format=tuple(given.get("format", [])),
        language=tuple(given.get("language", [])),
        date_from=given.get("date_from", [None])[0],
        date_to=given.get("date_to", [None])[0],
        metadata=metadata_filters(given.get("metadata", [])),
    )
