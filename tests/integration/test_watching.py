import threading
from queue import SimpleQueue

import pytest

from rag_qa import Engine
from rag_qa.errors import InputError
from rag_qa.indexer.watch import watch
from rag_qa.settings import Settings

SECONDS = 60


class Watched:
    """A watch in a thread of its own; `next` waits for the outcome of the next run."""

    def __init__(self, folder, index):
        self.index = index
        self.stop = threading.Event()
        self.outcomes = SimpleQueue()
        self.thread = threading.Thread(target=self._run, args=(folder,))
        self.thread.start()

    def _run(self, folder):
        for outcome in watch([folder], self.index, Settings(), stop=self.stop):
            self.outcomes.put(outcome)

    def next(self):
        return self.outcomes.get(timeout=SECONDS)

    def until(self, condition):
        """The first outcome that meets the condition: one burst may be seen as two."""
        while not condition(outcome := self.next()):
            pass
        return outcome

    def texts(self):
        with Engine.open(self.index) as engine:
            return sorted(engine.collection.document(info.id).text for info, _ in engine.collection.documents())


@pytest.fixture
def watched(tmp_path, with_encoder):
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.txt").write_text("The harbour opens in March.")
    index = with_encoder("papers/index")  # inside of what is watched
    watched = Watched(folder, index)
    try:
        yield folder, watched
    finally:
        watched.stop.set()
        watched.thread.join(SECONDS)
    assert not watched.thread.is_alive()


def test_the_index_follows_the_files(watched):
    folder, watch = watched
    assert watch.next().files.added == 1
    (folder / "a.txt").write_text("The harbour opens in April.")
    assert watch.until(lambda report: report.files.changed).passages.encoded == 1
    assert watch.texts() == ["The harbour opens in April."]

    for number in range(30):
        (folder / f"{number}.txt").write_text(f"Ship number {number} pays ten crowns.")
    reports = [watch.next()]
    while reports[-1].documents < 31:
        reports.append(watch.next())
    assert len(reports) <= 3  # not thirty
    assert len(watch.texts()) == 31

    (folder / "a.txt").unlink()
    assert watch.until(lambda report: report.documents == 30).files.removed == 1


def test_a_run_that_fails_does_not_end_the_watch(watched):
    folder, watch = watched
    watch.next()
    (folder / "a.txt").unlink()
    error = watch.next()
    assert isinstance(error, InputError)
    assert "the index is as it was" in str(error)
    (folder / "b.txt").write_text("Fishing is forbidden.")
    watch.until(lambda report: not isinstance(report, InputError))
    assert watch.texts() == ["Fishing is forbidden."]


def test_a_folder_that_is_made_again_is_followed(watched, tmp_path):
    folder, watch = watched
    watch.next()
    folder.rename(tmp_path / "old")  # with the index in it
    watch.until(lambda outcome: isinstance(outcome, InputError))
    (tmp_path / "old").rename(folder)
    watch.until(lambda outcome: not isinstance(outcome, InputError))
    (folder / "b.txt").write_text("Fishing is forbidden.")
    assert watch.until(lambda outcome: outcome.files.added).documents == 2


def test_a_path_that_is_missing_at_the_start(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        next(watch([tmp_path / "nowhere"], tmp_path / "index", Settings()))
