"""Routes for administrators: index jobs, snapshots and the return to one, documents of the managed folder."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Request, Response, Router, delete, get, post, put
from litestar.datastructures import State
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import Body, FromPath, Parameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from rag_qa.errors import ConflictError, IndexDamagedError, IndexMismatchError, NotFoundError
from rag_qa.files import named_path
from rag_qa.index import open_history
from rag_qa.index.records import Entry
from rag_qa.service.api import examples
from rag_qa.service.api.parameters import refuse_unknown
from rag_qa.service.api.responses import problems, responses_of
from rag_qa.service.http.authentication import ADMIN
from rag_qa.service.http.threads import to_end
from rag_qa.service.jobs import Job, Jobs
from rag_qa.service.live import LiveEngine, lent_engine
from rag_qa.service.uploads import ManagedFile, ManagedFolder, Upload
from rag_qa.service.wire import JobEvent, Rollback, RolledBack

__all__ = ["admin"]

SSE = "text/event-stream"
BYTES = "application/octet-stream"
LOG = structlog.get_logger()
Name = Annotated[
    Path,
    Parameter(description="Its name, with slashes for folders", schema_extra={"format": "file-name"}),
]


@dataclass
class _Upload(Operation):
    """Operation whose body is the file, which a handler's signature cannot say."""

    def __post_init__(self) -> None:
        """Describes the body."""
        file = Schema(type=OpenAPIType.STRING, content_media_type=BYTES)
        self.request_body = RequestBody({BYTES: OpenAPIMediaType(file)}, description="The file", required=True)


@post("/index", status_code=202, summary="Index anew", responses=responses_of(202, Job, examples.JOB, 409))
async def index(request: Request[Any, Any, State], state: State) -> Response[Job]:
    """Begins a job that brings the index up to date with the files it was made of; the service answers meanwhile.

    What has not changed is not read again. The snapshot that the job makes answers as soon as it is whole; the header
    Location says where the job can be followed.
    """
    refuse_unknown(request)
    jobs: Jobs = state.jobs
    with lent_engine(state) as engine:
        job = jobs.start(engine)
    return Response(job, headers={"Location": f"/admin/jobs/{job.id}"})


@get("/jobs", sync_to_thread=False, summary="The jobs", responses=responses_of(200, list[Job], examples.JOBS))
def jobs(request: Request[Any, Any, State], state: State) -> list[Job]:
    """The last jobs, the newest first."""
    refuse_unknown(request)
    known: Jobs = state.jobs
    return known.all()


@get(
    "/jobs/{job_id:str}",
    sync_to_thread=False,
    summary="One job",
    responses=responses_of(200, Job, examples.JOB_DONE, 404),
)
def job(request: Request[Any, Any, State], job_id: FromPath[str], state: State) -> Job:
    """Returns the progress of a job, or its result."""
    refuse_unknown(request)
    known: Jobs = state.jobs
    return known.get(job_id)


@get(
    "/jobs/{job_id:str}/events",
    media_type=SSE,
    opt={"unmeasured": True},  # it takes as long as the job
    summary="Follow a job",
    responses=responses_of(200, JobEvent, examples.JOB_EVENT, 404, media_type=SSE),
)
async def job_events(request: Request[Any, Any, State], job_id: FromPath[str], state: State) -> ServerSentEvent:
    """The job as server-sent events, one for every change, until it has ended.

    The event is called as the job's state: `running`, `done` or `failed`; its data is the job.
    """
    refuse_unknown(request)
    known: Jobs = state.jobs
    known.get(job_id)

    async def events() -> AsyncIterator[ServerSentEventMessage]:
        async for each in known.follow(job_id):
            yield ServerSentEventMessage(data=msgspec.json.encode(each).decode(), event=each.state)

    return ServerSentEvent(events())


@get(
    "/snapshots",
    summary="The snapshots",
    responses=responses_of(200, list[Entry], examples.SNAPSHOTS),
)
async def snapshots(request: Request[Any, Any, State], state: State) -> list[Entry]:
    """All snapshots of the index, the newest first."""
    refuse_unknown(request)
    return await to_end(state.administering, open_history(state.settings.index).entries)


@post(
    "/snapshots/rollback",
    status_code=200,
    summary="Go back to a snapshot",
    responses=responses_of(200, RolledBack, examples.ROLLED_BACK, 404, 409, 413),
)
async def rollback(
    request: Request[Any, Any, State],
    data: Annotated[Rollback, Body(examples=[Example(value=examples.ROLLBACK)])],
    state: State,
) -> RolledBack:
    """Makes another snapshot current, after it was checked byte for byte."""
    refuse_unknown(request)
    known: Jobs = state.jobs
    known.check_idle()  # what it makes would answer instead, as soon as it is whole
    done = await to_end(state.administering, _roll_back, state, data.snapshot)
    LOG.info("rolled back", snapshot=done.current, before=done.before)
    return done


@get(
    "/documents",
    summary="The files of the managed folder",
    responses=responses_of(200, list[ManagedFile], [examples.MANAGED_FILE], 404),
)
async def managed_files(request: Request[Any, Any, State], state: State) -> list[ManagedFile]:
    """The files that were uploaded, or put there otherwise; `POST /admin/index` makes them answer."""
    refuse_unknown(request)
    return await to_end(state.administering, lambda: ManagedFolder(state.settings).files())


@put(
    "/documents/{path:path}",
    status_code=201,
    summary="Upload a document",
    request_max_body_size=None,
    operation_class=_Upload,
    responses={
        200: responses_of(200, ManagedFile, examples.MANAGED_FILE)[200],
        **responses_of(201, ManagedFile, examples.MANAGED_FILE, 404, 409, 413, 422, 507),
    },
)
async def upload(request: Request[Any, Any, State], path: Name, state: State) -> Response[ManagedFile]:
    """Keeps the body as a file of the managed folder; 200 where there was one of this name, which it replaces.

    It is read once with the limits of indexing (max_file_mb, read_seconds, read_memory_mb) and refused if no text can
    be had from it. It answers after the next `POST /admin/index`.
    """
    refuse_unknown(request)
    alone = state.administering
    coming = await to_end(alone, _begin, state, _name(path), int(request.headers.get("content-length") or 0))
    try:
        async for part in request.stream():
            await to_end(alone, coming.write, part)
        kept, new = await to_end(alone, coming.finish)
    finally:
        await to_end(alone, coming.discard)
    LOG.info("uploaded", path=kept.path, size=kept.size, sha256=kept.sha256)
    return Response(kept, status_code=HTTPStatus.CREATED if new else HTTPStatus.OK)


@delete(
    "/documents/{path:path}",
    status_code=204,
    summary="Remove a document",
    responses=problems(404, 507),
)
async def remove(request: Request[Any, Any, State], path: Name, state: State) -> None:
    """Removes a file of the managed folder; it answers until the next `POST /admin/index`."""
    refuse_unknown(request)
    await to_end(state.administering, lambda: ManagedFolder(state.settings).remove(_name(path)))
    LOG.info("removed", path=_name(path))


admin = Router(
    path="/admin",
    route_handlers=[index, jobs, job, job_events, snapshots, rollback, managed_files, upload, remove],
    opt=ADMIN,
    tags=["Administration"],
)


def _name(path: Path) -> str:
    """The name behind a path in an address, which begins with a slash there."""
    return str(path).removeprefix("/")


def _roll_back(state: State, named: str) -> RolledBack:
    """Rolls back, with errors in words for HTTP."""
    live: LiveEngine = state.live
    if not named.strip():
        raise NotFoundError("There is no snapshot without a name: GET /admin/snapshots names those there are.")
    try:
        _, before = open_history(state.settings.index).roll_back(named)
    except (NotFoundError, ConflictError) as error:  # what follows is for the command line
        raise type(error)(f"{str(error).partition(':')[0]}: GET /admin/snapshots names those there are.") from None
    except IndexDamagedError as error:
        LOG.error("not rolled back", problem=str(error))
        raise ConflictError("The snapshot is damaged, so nothing was changed: choose another.") from None
    except IndexMismatchError:
        raise ConflictError("The snapshot is of another version of rag_qa: choose another.") from None
    live.look(at_once=True)
    with live.lend() as engine:
        return RolledBack(current=engine.info.name, before=before)


def _begin(state: State, name: str, announced: int) -> Upload:
    """Begins to take a file of so many bytes.

    Raises:
        ConflictError: the managed folder is not in what the index is made of.
        NotFoundError, InputError, TooLargeError, NoRoomError: as the managed folder says.
    """
    folder = ManagedFolder(state.settings)
    with lent_engine(state) as engine:
        info = engine.info
    indexed = [(named_path(info.working_directory) / named_path(path)).resolve() for path in info.paths]
    if not any(folder.root.is_relative_to(path) for path in indexed):
        raise ConflictError("The managed folder is not among what the index is made of: index it with `rag-qa index`.")
    folder.check_size(announced)
    return folder.upload(name)
