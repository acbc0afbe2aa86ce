"""The routes; each asks the engine in a thread and returns what it says."""

from pathlib import PurePosixPath
from typing import Annotated, Any

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import ETag, State
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath, FromQuery, Parameter
from litestar.response import File

from rag_qa.answering import check_stretch
from rag_qa.errors import InputError
from rag_qa.filters import Filters, metadata_filters
from rag_qa.references import FORMS
from rag_qa.service import examples
from rag_qa.service.live import lent_engine
from rag_qa.service.problems import MEDIA_TYPE, Problem
from rag_qa.service.wire import (
    MOST_LISTED,
    MOST_SKIPPED,
    MOST_TO_VERIFY,
    AskRequest,
    DocumentDetail,
    DocumentPage,
    Health,
    SnapshotView,
)
from rag_qa.types import Answer
from rag_qa.verifying import Verification

__all__ = ["handlers"]

SNAPSHOT_HEADER = "X-Snapshot"
BYTES = "application/octet-stream"
SEVERAL = {"document", "format", "language", "metadata"}
"""Parameters that may be given several times."""


def _problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The error responses of a route, for the OpenAPI document."""
    return {
        status: ResponseSpec(
            Problem,
            description=examples.PROBLEMS[status].title,
            media_type=MEDIA_TYPE,
            generate_examples=False,
            examples=[Example(value=examples.PROBLEMS[status])],
        )
        for status in statuses
    }


def _answers(status: int, kind: type, value: Any, *problems: int) -> dict[int, ResponseSpec]:  # noqa: ANN401
    """The responses of a route: one that answers, with an example, and its problems."""
    answer = ResponseSpec(kind, generate_examples=False, examples=[Example(value=value)], description="The answer")
    return {status: answer, **_problems(*problems)}


@post(
    "/ask",
    status_code=200,
    sync_to_thread=True,
    summary="Ask a question",
    responses=_answers(200, Answer, examples.ANSWER, 400, 413, 503),
)
def ask(
    request: Request[Any, Any, State],
    data: Annotated[AskRequest, Body(examples=[Example(value=examples.ASK)])],
    state: State,
) -> Answer:
    """Ranked, cited passages for a question."""
    _refuse_unknown(request, set())
    with lent_engine(state) as engine:
        return engine.ask(data.question, data.k, data.max_tokens, data.filters)


@get(
    "/ask",
    sync_to_thread=True,
    summary="Ask a question by URL",
    responses=_answers(200, Answer, examples.ANSWER, 400, 503),
)
def ask_by_url(
    request: Request[Any, Any, State],
    state: State,
    q: Annotated[str, Parameter(description="The question", examples=[Example(value=examples.ASK.question)])],
    k: Annotated[int, Parameter(description="How many passages")] = 5,
    max_tokens: Annotated[int | None, Parameter(description="Token budget of the passages together")] = None,
    document: Annotated[list[str] | None, Parameter(description="Globs on the document's path")] = None,
    format: Annotated[list[str] | None, Parameter(description="Formats of documents")] = None,  # noqa: A002
    language: Annotated[list[str] | None, Parameter(description="Languages of documents")] = None,
    date_from: Annotated[str | None, Parameter(description="First day of documents")] = None,
    date_to: Annotated[str | None, Parameter(description="Last day of documents")] = None,
    metadata: Annotated[list[str] | None, Parameter(description="field=value of documents")] = None,
) -> Answer:
    """The same as `POST /ask`; `document`, `format`, `language` and `metadata` may be given several times."""
    _refuse_unknown(request, {"q", "k", "max_tokens", *Filters.__struct_fields__})
    filters = Filters(
        document=tuple(document or ()),
        format=tuple(format or ()),
        language=tuple(language or ()),
        date_from=date_from,
        date_to=date_to,
        metadata=metadata_filters(metadata or ()),
    )
    with lent_engine(state) as engine:
        return engine.ask(q, k, max_tokens, filters)


@post(
    "/verify",
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=MOST_TO_VERIFY,
    summary="Check the citations of an answer",
    responses=_answers(200, Verification, examples.VERIFICATION, 400, 413, 503),
)
def verify(
    request: Request[Any, Any, State],
    data: Annotated[Answer, Body(examples=[Example(value=examples.ANSWER)])],
    state: State,
) -> Verification:
    """What became of each citation of an answer, in the snapshot that is served."""
    _refuse_unknown(request, set())
    with lent_engine(state) as engine:
        return engine.verify(data)


@get(
    "/documents",
    sync_to_thread=True,
    summary="List the documents",
    responses=_answers(200, DocumentPage, examples.DOCUMENT_PAGE, 400, 503),
)
def documents(
    request: Request[Any, Any, State],
    state: State,
    offset: Annotated[int, Parameter(ge=0, le=MOST_SKIPPED)] = 0,
    limit: Annotated[int, Parameter(ge=1, le=MOST_LISTED)] = 100,
) -> DocumentPage:
    """The documents of the snapshot, sorted by path."""
    _refuse_unknown(request, {"offset", "limit"})
    with lent_engine(state) as engine:
        return DocumentPage.of(engine, offset, limit)


@get(
    "/documents/{document_id:str}",
    sync_to_thread=True,
    summary="One document",
    responses=_answers(200, DocumentDetail, examples.DOCUMENT, 404, 503),
)
def document(document_id: FromPath[str], state: State) -> DocumentDetail:
    """A document's description, with the starts of its pages and headings."""
    with lent_engine(state) as engine:
        return DocumentDetail.of_snapshot(engine.manifest.id, *engine.info(document_id))


@get(
    "/documents/{document_id:str}/text",
    sync_to_thread=True,
    media_type=MediaType.TEXT,
    summary="A document's text",
    responses=_problems(400, 404, 503),
)
def document_text(
    request: Request[Any, Any, State],
    document_id: FromPath[str],
    state: State,
    start: FromQuery[int] = 0,
    end: FromQuery[int | None] = None,
) -> Response[str]:
    """The text from `start` to `end` (exclusive), in code points: with a citation's offsets, its quote.

    The header X-Snapshot is the id of the snapshot that it is of.
    """
    _refuse_unknown(request, {"start", "end"})
    with lent_engine(state) as engine:
        snapshot, document = engine.manifest.id, engine.document(document_id)
    stop = len(document.text) if end is None else end
    check_stretch(document, start, stop)
    return Response(document.text[start:stop], media_type=MediaType.TEXT, headers={SNAPSHOT_HEADER: snapshot})


@get(
    "/documents/{document_id:str}/reference",
    sync_to_thread=True,
    media_type=MediaType.TEXT,
    summary="A stretch of a document as a reference",
    responses=_problems(400, 404, 503),
)
def document_reference(
    request: Request[Any, Any, State],
    document_id: FromPath[str],
    state: State,
    start: FromQuery[int],
    end: FromQuery[int],
    form: Annotated[str, Parameter(description="text, markdown, csl or bibtex")] = "text",
) -> Response[str]:
    """The quote with authors, title, place and what it can be checked by: as text, Markdown, CSL-JSON or BibTeX."""
    _refuse_unknown(request, {"start", "end", "form"})
    if form not in FORMS:
        raise InputError(f"form is “{form[:40]}”: it must be one of {', '.join(FORMS)}.")
    with lent_engine(state) as engine:
        reference = engine.reference(document_id, start, end)
    written = FORMS[form].write(reference)
    return Response(written, media_type=FORMS[form].media_type, headers={SNAPSHOT_HEADER: reference.snapshot})


@get(
    "/documents/{document_id:str}/file",
    sync_to_thread=True,
    media_type=BYTES,
    summary="A document's file",
    responses=_problems(404, 503),
)
def document_file(document_id: FromPath[str], state: State) -> File:
    """The file, if it still has the bytes that were indexed; a PDF to be shown, any other to be kept."""
    with lent_engine(state) as engine:
        info, _ = engine.info(document_id)
        path = engine.source_file(info)
    shown = info.metadata.get("format") == "pdf"
    return File(
        path,
        filename=PurePosixPath(info.file).name,
        etag=ETag(value=info.sha256),
        media_type="application/pdf" if shown else BYTES,
        content_disposition_type="inline" if shown else "attachment",
    )


@get(
    "/snapshot",
    sync_to_thread=True,
    summary="The snapshot that answers",
    responses=_answers(200, SnapshotView, examples.SNAPSHOT, 503),
)
def snapshot(state: State) -> SnapshotView:
    """Its id, encoder and size, and the files that could not be read."""
    with lent_engine(state) as engine:
        return SnapshotView.of(engine)


@get("/health/live", sync_to_thread=False, summary="Is the process there?")
def live() -> Health:
    """Always ok."""
    return Health("ok")


@get("/health/ready", sync_to_thread=False, summary="Can it answer?")
def ready() -> Health:
    """Ok: nothing is answered before index and encoder are loaded."""
    return Health("ok")


handlers = [
    ask,
    ask_by_url,
    verify,
    documents,
    document,
    document_text,
    document_reference,
    document_file,
    snapshot,
    live,
    ready,
]


def _refuse_unknown(request: Request[Any, Any, State], known: set[str]) -> None:
    unknown = sorted(set(request.query_params) - known)
    names = [name for name, _ in request.query_params.multi_items()]
    doubled = sorted(name for name in known - SEVERAL if names.count(name) > 1)
    if doubled:
        raise InputError(f"The parameter “{doubled[0]}” is given twice: give it once.")
    if unknown:
        raise InputError(f"Unknown parameter “{unknown[0][:80]}”; there are: {', '.join(sorted(known)) or 'none'}.")
