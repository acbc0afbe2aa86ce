"""An engine that answers two questions at a time, and counts how many it is asked at once."""

import threading

from rag_qa import Engine


class Pairs:
    """Opens engines whose questions wait for one another, two by two; `most` is how many were asked at once."""

    def __init__(self):
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(2)

    def open(self, *arguments):
        """As `Engine.open`."""
        pairs = self

        class Slow(Engine):
            def ask(self, *asked, **others):
                with pairs._lock:
                    pairs._running += 1
                    pairs.most = max(pairs.most, pairs._running)
                try:
                    pairs._barrier.wait(timeout=20)
                    return super().ask(*asked, **others)
                finally:
                    with pairs._lock:
                        pairs._running -= 1

        return Slow.open(*arguments)
