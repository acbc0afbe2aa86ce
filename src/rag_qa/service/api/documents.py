"""Routes about the documents of the collection."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import ETag, State
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import FromPath, Parameter
from litestar.response import File

from rag_qa.answering.citations import check_span
from rag_qa.answering.references import FORMS
from rag_qa.errors import InputError
from rag_qa.service.api import examples
from rag_qa.service.api.parameters import refuse_unknown
from rag_qa.service.api.responses import parameter, responses_of
from rag_qa.service.live import lent_engine
from rag_qa.service.wire import MOST_LISTED, MOST_SKIPPED, DocumentDetail, DocumentPage

__all__ = ["document", "document_file", "document_reference", "document_text", "documents"]

SNAPSHOT_HEADER = "X-Snapshot"
BYTES = "application/octet-stream"

JSON = OpenAPIMediaType(Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.OBJECT)))


@dataclass
class _Reference(Operation):
    """Operation whose answer has one of several media types, which a handler's signature cannot say."""

    def __post_init__(self) -> None:
        """Adds the media types to the response."""
        if self.responses and isinstance(answer := self.responses.get("200"), OpenAPIResponse) and answer.content:
            (text,) = answer.content.values()
            kinds = [form.media_type.partition(";")[0] for form in FORMS.values()]
            answer.content |= {kind: JSON if kind.endswith("json") else text for kind in kinds}


@get(
    "/documents",
    sync_to_thread=True,
    summary="List the documents",
    responses=responses_of(200, DocumentPage, examples.DOCUMENT_PAGE),
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
        return DocumentPage.from_engine(engine, offset, limit)


@get(
    "/documents/{document_id:str}",
    sync_to_thread=True,
    summary="One document",
    responses=responses_of(200, DocumentDetail, examples.DOCUMENT, 404),
)
def document(request: Request[Any, Any, State], document_id: FromPath[str], state: State) -> DocumentDetail:
    """A document's description, with the starts of its pages and headings."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        return DocumentDetail.from_info_of(engine.info.id, *engine.collection.info(document_id))


@get(
    "/documents/{document_id:str}/text",
    sync_to_thread=True,
    media_type=MediaType.TEXT,
    summary="A document's text",
    responses=responses_of(200, str, examples.TEXT, 404, media_type=MediaType.TEXT),
)
def document_text(
    request: Request[Any, Any, State],
    document_id: FromPath[str],
    state: State,
    start: Annotated[int, parameter("The first character", minimum=0)] = 0,
    end: Annotated[int | None, parameter("The character after the last one", "integer", minimum=0)] = None,
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
    responses=responses_of(200, str, examples.REFERENCE, 404, media_type=MediaType.TEXT),
)
def document_reference(
    request: Request[Any, Any, State],
    document_id: FromPath[str],
    state: State,
    start: Annotated[int, parameter("The first character", minimum=0)],
    end: Annotated[int, parameter("The character after the last one", minimum=1)],
    form: Annotated[str, parameter("How it is written", enum=[*FORMS])] = "text",
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
    responses=responses_of(200, bytes, examples.FILE, 404, media_type=BYTES),
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
