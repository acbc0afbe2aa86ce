"""The engine that answers, and its replacement while questions are being answered."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from litestar.datastructures import State

from rag_qa.engine import Engine
from rag_qa.errors import RagQaError
from rag_qa.index import open_history
from rag_qa.settings import Settings

if TYPE_CHECKING:
    from rag_qa.models.protocols import Reranker

__all__ = ["LiveEngine", "engine_opener", "lent_engine"]

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_TRIES = 5  # to open a snapshot that could not be opened
LOGGER = logging.getLogger("rag_qa.service")


def lent_engine(state: State) -> AbstractContextManager[Engine]:
    """The engine that answers now, for one request."""
    live: LiveEngine = state.live
    return live.lend()


def engine_opener(settings: Settings) -> Callable[[], Engine]:
    """Returns a function that opens the engine of the current snapshot, with one reranker; errors as `Engine.open`."""
    reranker: Reranker | None = None

    def load() -> Engine:
        nonlocal reranker
        engine = Engine.open(settings.index, settings, reranker=reranker)
        reranker = engine.searcher.reranker
        return engine

    return load


class _Lent:
    """An engine with the number of requests that use it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.users = 0
        self.retired = False


class LiveEngine:
    """Lends the engine of the current snapshot.

    A request keeps the engine it was lent to its end, so that no answer mixes two snapshots. An engine that was
    replaced is closed when its last request has ended.
    """

    def __init__(self, index: Path, load: Callable[[], Engine]) -> None:
        """Loads the first engine; errors as `load`.

        Args:
            index: folder of the index.
            load: opens the engine of the current snapshot.
        """
        self._history = open_history(index)
        self._load = load
        self._lock = Lock()
        self._lent = _Lent(load())
        self._refused = ""
        """The reason why the current snapshot was not taken the last time, so that this is logged once."""
        self._not_before = 0.0
        self._looking = Lock()

    @contextmanager
    def lend(self) -> Iterator[Engine]:
        """The engine that answers now."""
        with self._lock:
            lent = self._lent
            lent.users += 1
        try:
            yield lent.engine
        finally:
            self._give_back(lent)

    async def follow(self) -> None:
        """Changes over to every snapshot that becomes current, until it is cancelled."""
        while True:
            await anyio.sleep(SECONDS_BETWEEN_LOOKS)
            await anyio.to_thread.run_sync(self.look)

    def look(self, *, at_once: bool = False) -> None:
        """Changes over if another snapshot is current; where it cannot be used, the one that answers stays.

        Args:
            at_once: look also where a snapshot could not be opened a moment ago.
        """
        with self._looking:
            if at_once:
                self._not_before = 0.0
            self._look()

    def _look(self) -> None:
        if time.monotonic() < self._not_before:
            return
        try:
            if self._history.current() == self._lent.engine.info.name:
                return
            new = _Lent(self._load())
        except Exception as error:
            self._not_before = time.monotonic() + SECONDS_BETWEEN_TRIES
            if repr(error) != self._refused:
                ours = isinstance(error, OSError | RagQaError)
                name = self._lent.engine.info.name
                LOGGER.error("snapshot %s still answers: %s", name, error, exc_info=None if ours else error)
            self._refused = repr(error)
            return
        with self._lock:
            old, self._lent = self._lent, new
            old.users += 1
            old.retired = True
        self._give_back(old)
        self._refused = ""
        LOGGER.info("snapshot %s answers", new.engine.info.name)

    def close(self) -> None:
        """Closes the engine; nothing is lent afterwards."""
        self._lent.engine.close()

    def _give_back(self, lent: _Lent) -> None:
        with self._lock:
            lent.users -= 1
            unused = lent.retired and lent.users == 0
        if unused:
            lent.engine.close()
