"""Asks the engine for every way into the service, and counts and logs the questions."""

import structlog

from rag_qa.engine import Engine
from rag_qa.filters import Filters
from rag_qa.service.telemetry.metrics import observe_answer
from rag_qa.service.telemetry.tracing import trace_answer
from rag_qa.types import Answer

__all__ = ["ask_observed"]

LOG = structlog.get_logger()


def ask_observed(
    engine: Engine, question: str, k: int = 5, max_tokens: int | None = None, filters: Filters | None = None
) -> Answer:
    """Answers a question, as `Engine.ask`."""
    answer = engine.ask(question, k, max_tokens, filters)
    observe_answer(answer)
    trace_answer(answer)
    LOG.info(
        "question",
        **({"question": question} if engine.settings.log_questions else {}),
        answered=answer.answered,
        confidence=answer.confidence,
        passages=len(answer.passages),
        snapshot=answer.snapshot,
        ms=answer.timings_ms.total,
    )
    return answer
