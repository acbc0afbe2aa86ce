"""Routes for questions, documents and health; each asks the engine in a thread."""

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.openapi.spec import Example
from litestar.params import Body

from rag_qa.answering.verification import Verification
from rag_qa.engine import Engine
from rag_qa.errors import InputError, QuestionError
from rag_qa.filters import Filters, metadata_filters
from rag_qa.service.api import examples
from rag_qa.service.api.documents import document, document_file, document_reference, document_text, documents
from rag_qa.service.api.parameters import refuse_unknown
from rag_qa.service.api.responses import parameter, responses_of
from rag_qa.service.ask import ask_observed
from rag_qa.service.http.authentication import FREE
from rag_qa.service.http.threads import to_end
from rag_qa.service.live import lent_engine
from rag_qa.service.wire import (
    MOST_TO_VERIFY,
    AskRequest,
    Batch,
    BatchRequest,
    BatchResult,
    Health,
    SnapshotView,
)
from rag_qa.types import Answer

__all__ = ["handlers"]

MOST_IN_A_BATCH = 2_000_000  # bytes


@post(
    "/ask",
    status_code=200,
    sync_to_thread=True,
    summary="Ask a question",
    responses=responses_of(200, Answer, examples.ANSWER, 404, 413),
)
def ask(
    request: Request[Any, Any, State],
    data: Annotated[AskRequest, Body(examples=[Example(value=examples.ASK)])],
    state: State,
) -> Answer:
    """Ranked, cited passages for a question."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        return ask_observed(engine, data.question, data.k, data.max_tokens, data.filters)


@get(
    "/ask",
    sync_to_thread=True,
    summary="Ask a question by URL",
    responses=responses_of(200, Answer, examples.ANSWER, 404),
)
def ask_by_url(
    request: Request[Any, Any, State],
    state: State,
    q: Annotated[str, parameter("The question", minLength=1, maxLength=2000, format="question")],
    k: Annotated[int, parameter("How many passages", minimum=1, maximum=100)] = 5,
    max_tokens: Annotated[int | None, parameter("Token budget of the passages together", "integer", minimum=1)] = None,
    document: Annotated[list[str] | None, parameter("Globs on paths", "string", several=True, format="glob")] = None,
    format: Annotated[list[str] | None, parameter("Formats of documents", "string", several=True)] = None,  # noqa: A002
    language: Annotated[list[str] | None, parameter("Languages of documents", "string", several=True)] = None,
    date_from: Annotated[str | None, parameter("First day of documents", "string", format="period")] = None,
    date_to: Annotated[str | None, parameter("Last day of documents", "string", format="period")] = None,
    metadata: Annotated[
        list[str] | None, parameter("field=value of documents", "string", several=True, format="field-value")
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
        return ask_observed(engine, q, k, max_tokens, filters)


@post(
    "/ask/batch",
    status_code=200,
    request_max_body_size=MOST_IN_A_BATCH,
    summary="Ask several questions",
    responses=responses_of(200, Batch, examples.BATCH, 404, 413),
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
        return BatchResult(answer=ask_observed(engine, each.question, each.k, each.max_tokens, each.filters))
    except InputError as error:
        return BatchResult(problem=str(error))


@post(
    "/verify",
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=MOST_TO_VERIFY,
    summary="Check the citations of an answer",
    responses=responses_of(200, Verification, examples.VERIFICATION, 413),
)
def verify(
    request: Request[Any, Any, State],
    data: Annotated[Answer, Body(examples=[Example(value=examples.ANSWER)])],
    state: State,
) -> Verification:
    """Checks each citation of an answer against the snapshot that is served."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        return engine.verify(data)


@get(
    "/snapshot",
    sync_to_thread=True,
    summary="The snapshot that answers",
    responses=responses_of(200, SnapshotView, examples.SNAPSHOT),
)
def snapshot(request: Request[Any, Any, State], state: State) -> SnapshotView:
    """Returns the id, encoder and size of the snapshot that answers, and the files that could not be read."""
    refuse_unknown(request)
    with lent_engine(state) as engine:
        return SnapshotView.from_engine(engine)


@get("/health/live", opt=FREE, security=[{}], sync_to_thread=False, summary="Is the process there?")
def live() -> Health:
    """Returns `ok` always."""
    return Health("ok")


@get("/health/ready", opt=FREE, security=[{}], sync_to_thread=False, summary="Can it answer?")
def ready() -> Health:
    """Returns `ok`: no request is answered before index and encoder are loaded."""
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
