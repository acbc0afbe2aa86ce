"""Examples for the OpenAPI document; a test checks that the service accepts and returns their form."""

import msgspec

from rag_qa.answering.verification import CheckedCitation, Verification
from rag_qa.filters import Filters
from rag_qa.index.records import Counts, EncoderRecord, Entry
from rag_qa.indexer.report import FileCounts, IndexReport, PassageCounts
from rag_qa.service.http.problems import Problem
from rag_qa.service.jobs import Job
from rag_qa.service.keys import NO_KEY
from rag_qa.service.uploads import ManagedFile
from rag_qa.service.wire import (
    AskRequest,
    Batch,
    BatchRequest,
    BatchResult,
    CalibrationView,
    DocumentDetail,
    DocumentEntry,
    DocumentPage,
    JobEvent,
    Rollback,
    RolledBack,
    SnapshotView,
)
from rag_qa.types import Answer, Citation, FailedFile, Highlight, RankedPassage, Scores, Timings

__all__ = [
    "ANSWER",
    "ASK",
    "BATCH",
    "BATCH_REQUEST",
    "DOCUMENT",
    "DOCUMENT_PAGE",
    "FILE",
    "JOB",
    "JOBS",
    "JOB_DONE",
    "JOB_EVENT",
    "MANAGED_FILE",
    "PROBLEMS",
    "REFERENCE",
    "ROLLBACK",
    "ROLLED_BACK",
    "SNAPSHOT",
    "SNAPSHOTS",
    "TEXT",
    "VERIFICATION",
]

SHA256 = "3d4f7c0b9a6e5d2c1b8f7e6a5d4c3b2a19f8e7d6c5b4a39281706f5e4d3c2b1a"
ASK = AskRequest(question="When is the harbour closed?", k=3, filters=Filters(format="text", date_from="2024"))
ANSWER = Answer(
    question=ASK.question,
    snapshot="5d1c0c1be0a9a4f7",
    answered=True,
    confidence=0.87,
    passages=[
        RankedPassage(
            rank=1,
            score=0.97,
            scores=Scores(dense=0.61, lexical=7.4),
            text="The harbour opens in March. It is closed from 1 December for repairs.",
            tokens=16,
            highlights=[Highlight(238, 279, "It is closed from 1 December for repairs.")],
            citation=Citation(
                id="9f86d081884c7d65",
                document="notices/harbour.txt",
                title="Notice to skippers",
                source="papers/notices/harbour.txt",
                sha256=SHA256,
                start=210,
                end=279,
                page=None,
                line=3,
            ),
        )
    ],
    parts=[],
    why_not=None,
    expansions=[],
    timings_ms=Timings(encode=2.1, dense=0.2, lexical=0.5, total=4.0),
)
NO_ROOM = "No passage fits into max_tokens 10: the shortest of the first 5 has 16 tokens."
BATCH_REQUEST = BatchRequest([ASK, AskRequest("Who pays?", max_tokens=10)])
BATCH = Batch(ANSWER.snapshot, [BatchResult(answer=ANSWER), BatchResult(problem=NO_ROOM)])
VERIFICATION = Verification(
    question=ASK.question,
    snapshot=ANSWER.snapshot,
    holds=True,
    citations=[
        CheckedCitation(
            rank=1,
            document="notices/harbour.txt",
            source="papers/notices/harbour.txt",
            state="holds",
            detail="The quote stands in the source, exactly there.",
        )
    ],
)
ENTRY = DocumentEntry(
    id="9f86d081884c7d65",
    document="notices/harbour.txt",
    title="Notice to skippers",
    source="papers/notices/harbour.txt",
    sha256=SHA256,
    characters=2310,
    pages=0,
    passages=4,
    metadata={"size": 2315, "format": "text", "encoding": "utf-8", "language": "en", "language_guessed": True},
)
DOCUMENT = DocumentDetail(
    **{name: getattr(ENTRY, name) for name in DocumentEntry.__struct_fields__},
    snapshot=ANSWER.snapshot,
    reader="text/2",
    record=None,
    page_unit="page",
    page_starts=(),
    headings=(),
)
DOCUMENT_PAGE = DocumentPage(snapshot=ANSWER.snapshot, total=1, offset=0, documents=[ENTRY])
SNAPSHOT = SnapshotView(
    id=ANSWER.snapshot,
    created="2026-03-01T09:00:00+00:00",
    encoder=EncoderRecord("all-MiniLM-L6-v2", "f4f1b6f3f0a2c7de", "0d1c8b5a7e9f2346", "int8", 384, 256),
    counts=Counts(documents=1, passages=4, tokens=540),
    failed=(FailedFile("notices/scan.pdf", "no text: scanned images; OCR is off"),),
    calibration=CalibrationView("gold.jsonl", 120, 0.41),
    calibration_problem=None,
)
NAME = f"{ANSWER.snapshot}-0c4d77a1"
SNAPSHOTS = [
    Entry(
        name=NAME,
        current=True,
        sequence=7,
        created=SNAPSHOT.created,
        counts=SNAPSHOT.counts,
        segments=1,
        bytes=183_220,
    )
]
ROLLBACK = Rollback("previous")
ROLLED_BACK = RolledBack("20b1a7c35f6e8d94-77e0b3c2", NAME)
JOB = Job(id="b0c1d2e3f4a5", state="running", started="2026-03-01T09:00:00+00:00", stage="encoding", done=32, total=540)
REPORT = IndexReport(
    snapshot=ANSWER.snapshot,
    files=FileCounts(added=1, changed=0, renamed=0, unchanged=41, removed=0),
    failed=[],
    failed_records=[],
    documents=42,
    passages=PassageCounts(540, 12, 528),
    tokens=68_112,
    seconds=4.2,
    rebuilt=None,
    paths={"added": ["notices/harbour.txt"]},
)
JOB_DONE = Job(
    id=JOB.id,
    state="done",
    started=JOB.started,
    finished="2026-03-01T09:00:05+00:00",
    stage="writing",
    done=1,
    total=1,
    report=REPORT,
)
JOBS = [JOB_DONE]
JOB_EVENT = JobEvent(JOB.state, msgspec.json.encode(JOB).decode())
MANAGED_FILE = ManagedFile(path="notices/harbour.txt", size=2315, sha256=SHA256)
TEXT = ANSWER.passages[0].text
REFERENCE = f"“{TEXT}” Notice to skippers, line 3. notices/harbour.txt"
FILE = "%PDF-1.7 …"
PROBLEMS = {
    status: Problem.from_status(status, detail)
    for status, detail in {
        400: "k is 0: it must be from 1 to 100.",
        401: NO_KEY,
        403: "This key has the scope ask, and this needs admin: ask an administrator.",
        404: "No document has the id “x”.",
        409: "The job b0c1d2e3f4a5 runs: follow it, and come again when it has ended.",
        413: "The body is larger than max_body_bytes, 65536 bytes: shorten it.",
        422: "“notices/scan.pdf”: no text: scanned images; OCR is off.",
        429: "600 requests in a minute are allowed: ask again in 7 s.",
        500: "The server failed on this request; its log says why.",
        503: "512 requests are here already: ask again in 1 s.",
        507: "The managed folder cannot be changed (No space left on device).",
    }.items()
}
