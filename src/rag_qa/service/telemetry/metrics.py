"""Metrics for Prometheus: requests by Litestar's plugin; questions, stages, queue and snapshot here."""

from collections.abc import Callable
from typing import Any, Protocol

from litestar.plugins.prometheus import PrometheusConfig, PrometheusController, PrometheusMiddleware
from litestar.types import Send
from prometheus_client import Counter, Gauge, Histogram

from rag_qa.index.records import SnapshotInfo
from rag_qa.types import Answer

__all__ = ["REFUSED", "Metrics", "observe_answer", "observe_queue", "observe_snapshot", "requests_observed"]

GONE = 499
"""The status of a request whose client did not wait, as proxies count it."""
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds."""
STAGES = Histogram("rag_qa_stage_seconds", "Time that a stage of answering took", ["stage"], buckets=BUCKETS)
QUESTIONS = Counter("rag_qa_questions", "Questions that were answered or abstained from")
ABSTENTIONS = Counter("rag_qa_abstentions", "Questions that the collection does not answer")
REFUSED = Counter("rag_qa_refused", "Requests that were refused before they were looked at", ["reason"])
QUEUE = Gauge("rag_qa_requests_here", "Requests that are worked on or wait")
SNAPSHOT = Gauge("rag_qa_snapshot", "The snapshot that answers, as a label of the value 1", ["id"])
DOCUMENTS = Gauge("rag_qa_documents", "Documents of the snapshot that answers")
PASSAGES = Gauge("rag_qa_passages", "Passages of the snapshot that answers")


class Queue(Protocol):
    """Queue of requests."""

    there: int


class Metrics(PrometheusController):
    """GET /metrics; prometheus_client adds memory and processor time."""

    include_in_schema = False


class _Requests(PrometheusMiddleware):
    """Litestar's middleware, which would count a request whose client disconnected as a fast one of the status 200."""

    def _get_wrapped_send(self, send: Send, request_span: dict[str, float]) -> Callable[..., Any]:
        request_span["status_code"] = GONE  # until an answer begins
        wrapped: Callable[..., Any] = super()._get_wrapped_send(send, request_span)
        return wrapped


def requests_observed() -> PrometheusConfig:
    """Configuration that counts requests by route, not by address, which may hold anything."""
    return PrometheusConfig(
        app_name="rag_qa",
        prefix="rag_qa",
        group_path=True,
        exclude_opt_key="unmeasured",
        buckets=list(BUCKETS),
        middleware_class=_Requests,
    )


def observe_answer(answer: Answer) -> None:
    """Counts a question, with the time of its stages."""
    timings = answer.timings_ms
    for stage in timings.__struct_fields__:
        STAGES.labels(stage).observe(getattr(timings, stage) / 1000)
    QUESTIONS.inc()
    if not answer.answered:
        ABSTENTIONS.inc()


def observe_queue(queue: Queue) -> None:
    """Reports how many requests are in flight, whenever metrics are read."""
    QUEUE.set_function(lambda: queue.there)


def observe_snapshot(info: SnapshotInfo) -> None:
    """Reports the snapshot that answers."""
    SNAPSHOT.clear()
    SNAPSHOT.labels(info.id).set(1)
    DOCUMENTS.set(info.counts.documents)
    PASSAGES.set(info.counts.passages)
