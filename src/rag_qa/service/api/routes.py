"""The routes; each asks the engine in a thread and returns what it says."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import ETag, State
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import Body, FromPath, Parameter
from litestar.response import File

from rag_qa.answering.citations import check_span
from rag_qa.answering.references import FORMS
from rag_qa.answering.verification import Verification
from rag_qa.engine import Engine
from rag_qa.errors import InputError, QuestionError
from rag_qa.filters import Filters, metadata_filters
from rag_qa.service.api import examples
from rag_qa.service.api.parameters import refuse_unknown
from rag_qa.service.api.responses import answers, given
from rag_qa.service.ask import asked
from rag_qa.service.http.authentication import FREE
from rag_qa.service.http.threads import to_end
from rag_qa.service.live import lent_engine
from rag_qa.service.wire import (
    MOST_LISTED,
    MOST_SKIPPED,
    MOST_TO_VERIFY,
    AskRequest,
    Batch,
    BatchRequest,
    BatchResult,
    DocumentDetail,
    DocumentPage,
    Health,
    SnapshotView,
)
from rag_qa.types import Answer

__all__ = ["handlers"]

MOST_IN_A_BATCH = 2_000_000  # bytes
SNAPSHOT_HEADER = "X-Snapshot"
BYTES = "application/octet-stream"


JSON = OpenAPIMediaType(Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.OBJECT)))


@dataclass
class _Reference(Operation):
    """Operation whose answer has one of several media types, which a handler's signature cannot say."""

    def __post_init__(self) -> None:
        """Says so."""
        if self.responses and isinstance(answer := self.responses.get("200"), OpenAPIResponse) and answer.content:
            (text,) = answer.content.values()
            kinds = [form.media_type.partition(";")[0] for form in FORMS.values()]
            answer.content |= {kind: JSON if kind.endswith("json") else text for kind in kinds}


@post(
    "/ask",
    status_code=200,
    sync_to_thread=True,
    summary="Ask a question",
    responses=answers(200, Answer, examples.ANSWER, 404, 413),
)
def ask(
    request: Request[Any, Any, State],
    data: Annotated[AskRequest, Body(examples=[Example(value=examples.ASK)])],
    state: State,
) -> Answer:
    """Ranked, cited passages for a question."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        return asked(engine, data.question, data.k, data.max_tokens, data.filters)


@get(
    "/ask",
    sync_to_thread=True,
    summary="Ask a question by URL",
    responses=answers(200, Answer, examples.ANSWER, 404),
)
def ask_by_url(
    request: Request[Any, Any, State],
    state: State,
    q: Annotated[str, given("The question", minLength=1, maxLength=2000, format="question")],
    k: Annotated[int, given("How many passages", minimum=1, maximum=100)] = 5,
    max_tokens: Annotated[int | None, given("Token budget of the passages together", "integer", minimum=1)] = None,
    document: Annotated[list[str] | None, given("Globs on paths", "string", several=True, format="glob")] = None,
    format: Annotated[list[str] | None, given("Formats of documents", "string", several=True)] = None,  # noqa: A002
    language: Annotated[list[str] | None, given("Languages of documents", "string", several=True)] = None,
    date_from: Annotated[str | None, given("First day of documents", "string", format="period")] = None,
    date_to: Annotated[str | None, given("Last day of documents", "string", format="period")] = None,
    metadata: Annotated[
        list[str] | None, given("field=value of documents", "string", several=True, format="field-value")
    ] = None,
) -> Answer:
    """The same as `POST /ask`; `document`, `format`, `language` and `metadata` may be given several times."""
    refuse_unknown(request, "q", "k", "max_tokens", *Filters.__struct_fields__)
    filters = Filters(
        document=tuple(document or ()),
        format=tuple(format or ()),
        language=tuple(language or ()),
        date_from=date_from,
        date_to=date_to,
        metadata=metadata_filters(metadata or ()),
    )
    with lent_engine(state) as engine:
        return asked(engine, q, k, max_tokens, filters)


@post(
    "/ask/batch",
    status_code=200,
    request_max_body_size=MOST_IN_A_BATCH,
    summary="Ask several questions",
    responses=answers(200, Batch, examples.BATCH, 404, 413),
)
async def ask_batch(
    request: Request[Any, Any, State],
    data: Annotated[BatchRequest, Body(examples=[Example(value=examples.BATCH_REQUEST)])],
    state: State,
) -> Batch:
    """Answers questions one after the other, all from one snapshot; all are checked before the first is asked.

    What can only be known when a question is asked, as that no passage fits into `max_tokens`, is the `problem` of its
    result. Between two questions of a batch others have their turn. A batch counts as one request.
    """
    refuse_unknown(request)
    most = state.settings.max_batch
    if len(data.questions) > most:
        raise QuestionError(f"There are {len(data.questions)} questions: at most {most} can be asked at once.")
    with lent_engine(state) as engine:
        await to_end(None, _check, engine, data.questions)
        results = [await to_end(None, _result, engine, each) for each in data.questions]
        return Batch(engine.info.id, results)


def _check(engine: Engine, questions: list[AskRequest]) -> None:
    for number, each in enumerate(questions, start=1):
        try:
            engine.check(each.question, each.k, each.max_tokens, each.filters)
        except InputError as error:
            raise type(error)(f"Question {number}: {error}") from None


def _result(engine: Engine, each: AskRequest) -> BatchResult:
    try:
        return BatchResult(answer=asked(engine, each.question, each.k, each.max_tokens, each.filters))
    except InputError as error:
        return BatchResult(problem=str(error))


@post(
    "/verify",
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=MOST_TO_VERIFY,
    summary="Check the citations of an answer",
    responses=answers(200, Verification, examples.VERIFICATION, 413),
)
def verify(
    request: Request[Any, Any, State],
    data: Annotated[Answer, Body(examples=[Example(value=examples.ANSWER)])],
    state: State,
) -> Verification:
    """What became of each citation of an answer, in the snapshot that is served."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        return engine.verify(data)


@get(
    "/documents",
    sync_to_thread=True,
    summary="List the documents",
    responses=answers(200, DocumentPage, examples.DOCUMENT_PAGE),
)
def documents(
    request: Request[Any, Any, State],
    state: State,
    offset: Annotated[int, Parameter(ge=0, le=MOST_SKIPPED)] = 0,
    limit: Annotated[int, Parameter(ge=1, le=MOST_LISTED)] = 100,
) -> DocumentPage:
    """The documents of the snapshot, sorted by path."""
    refuse_unknown(request, "offset", "limit")
    with lent_engine(state) as engine:
        return DocumentPage.of(engine, offset, limit)


@get(
    "/documents/{document_id:str}",
    sync_to_thread=True,
    summary="One document",
    responses=answers(200, DocumentDetail, examples.DOCUMENT, 404),
)
def document(request: Request[Any, Any, State], document_id: FromPath[str], state: State) -> DocumentDetail:
    """A document's description, with the starts of its pages and headings."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        return DocumentDetail.of_snapshot(engine.info.id, *engine.collection.info(document_id))


@get(
    "/documents/{document_id:str}/text",
    sync_to_thread=True,
    media_type=MediaType.TEXT,
    summary="A document's text",
    responses=answers(200, str, examples.TEXT, 404, media_type=MediaType.TEXT),
)
def document_text(
    request: Request[Any, Any, State],
    document_id: FromPath[str],
    state: State,
    start: Annotated[int, given("The first character", minimum=0)] = 0,
    end: Annotated[int | None, given("The character after the last one", "integer", minimum=0)] = None,
) -> Response[str]:
    """The text from `start` to `end` (exclusive), in code points: with a citation's offsets, its quote.

    The header X-Snapshot is the id of the snapshot that it is of.
    """
    refuse_unknown(request, "start", "end")
    with lent_engine(state) as engine:
        snapshot, document = engine.info.id, engine.collection.document(document_id)
    stop = len(document.text) if end is None else end
    check_span(document, start, stop)
    return Response(document.text[start:stop], media_type=MediaType.TEXT, headers={SNAPSHOT_HEADER: snapshot})


@get(
    "/documents/{document_id:str}/reference",
    sync_to_thread=True,
    media_type=MediaType.TEXT,
    summary="A stretch of a document as a reference",
    operation_class=_Reference,
    responses=answers(200, str, examples.REFERENCE, 404, media_type=MediaType.TEXT),
)
def document_reference(
    request: Request[Any, Any, State],
    document_id: FromPath[str],
    state: State,
    start: Annotated[int, given("The first character", minimum=0)],
    end: Annotated[int, given("The character after the last one", minimum=1)],
    form: Annotated[str, given("How it is written", enum=[*FORMS])] = "text",
) -> Response[str]:
    """The quote with authors, title, place and what it can be checked by: as text, Markdown, CSL-JSON or BibTeX."""
    refuse_unknown(request, "start", "end", "form")
    if form not in FORMS:
        raise InputError(f"form is “{form[:40]}”: it must be one of {', '.join(FORMS)}.")
    with lent_engine(state) as engine:
        reference = engine.collection.reference(document_id, start, end)
    written = FORMS[form].write(reference)
    return Response(written, media_type=FORMS[form].media_type, headers={SNAPSHOT_HEADER: reference.snapshot})


@get(
    "/documents/{document_id:str}/file",
    sync_to_thread=True,
    media_type=BYTES,
    summary="A document's file",
    responses=answers(200, bytes, examples.FILE, 404, media_type=BYTES),
)
def document_file(request: Request[Any, Any, State], document_id: FromPath[str], state: State) -> File:
    """The file, if it still has the bytes that were indexed; a PDF to be shown, any other to be kept."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        info, _ = engine.collection.info(document_id)
        path = engine.collection.source_file(info)
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
    responses=answers(200, SnapshotView, examples.SNAPSHOT),
)
def snapshot(request: Request[Any, Any, State], state: State) -> SnapshotView:
    """Its id, encoder and size, and the files that could not be read."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        return SnapshotView.of(engine)


@get("/health/live", opt=FREE, security=[{}], sync_to_thread=False, summary="Is the process there?")
def live() -> Health:
    """Always ok."""
    return Health("ok")


@get("/health/ready", opt=FREE, security=[{}], sync_to_thread=False, summary="Can it answer?")
def ready() -> Health:
    """Ok: nothing is answered before index and encoder are loaded."""
    return Health("ok")


handlers = [
    ask,
    ask_by_url,
    ask_batch,
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
