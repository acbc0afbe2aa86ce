"""Examples for the OpenAPI document; a test checks that the service accepts and returns their form."""

from rag_qa.filters import Filters
from rag_qa.manifest import Counts, EncoderRecord
from rag_qa.service.problems import Problem
from rag_qa.service.wire import AskRequest, CalibrationView, DocumentDetail, DocumentEntry, DocumentPage, SnapshotView
from rag_qa.types import Answer, Citation, FailedFile, Highlight, RankedPassage, Scores, Timings
from rag_qa.verifying import CheckedCitation, Verification

__all__ = ["ANSWER", "ASK", "DOCUMENT", "DOCUMENT_PAGE", "PROBLEMS", "SNAPSHOT", "VERIFICATION"]

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
    expansions=[],
    timings_ms=Timings(encode=2.1, dense=0.2, lexical=0.5, total=4.0),
)
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
PROBLEMS = {
    400: Problem(title="Bad Request", status=400, detail="k is 0: it must be from 1 to 100."),
    404: Problem(title="Not Found", status=404, detail="No document has the id “x”."),
    413: Problem(title="Request Entity Too Large", status=413, detail="Request Entity Too Large"),
    503: Problem(
        title="Service Unavailable",
        status=503,
        detail="The index cannot be used at the moment; the server's log says why.",
    ),
}
