"""Whatever happens to the process, the disk or the power, the index that was there is there, and whole."""

import errno
import gc
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import indexes
from support.indexes import build
from support.structures import HashEncoder

from rag_qa import Engine
from rag_qa.errors import BusyError, WriteError
from rag_qa.files import damaged
from rag_qa.index import open_history, open_index
from rag_qa.index.local.snapshot.commit import writing
from rag_qa.settings import Settings

QUESTION = "Which ship arrives?"
SETTINGS = Settings(segment_passages=40, graph_passages=40)


@pytest.fixture
def encoder_of_hashes():
    return HashEncoder.make()


def write(folder, numbers, word="arrives"):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"{number:03}.txt").write_text(f"Ship number {number} {word}.\n\nIt pays {number} crowns.")


def check_whole(index, snapshots):
    """Opens, verifies and asks; what answers is one of these snapshots."""
    with Engine.open(index) as engine:
        assert engine.info.id in snapshots
        assert not open_history(index).verify(engine.info.name).damaged
        for passage in engine.ask(QUESTION).passages:
            text = engine.collection.document(passage.citation.id).text
            assert text[passage.citation.start : passage.citation.end] == passage.text
        return engine.info.id


class Disk:
    """What a disk holds of an index when the power fails: what was synced, and of the rest half or nothing.

    A folder has the names it had when it was last synced, a file the content. What was there at the beginning is taken
    as synced. Checks both that disk, and one that kept the names but not the content.
    """

    def __init__(self, index, crashed, check):
        self.index, self.crashed, self.check = index, crashed, check
        self.names: dict[int, dict[str, int]] = {}
        self.synced: dict[int, bytes] = {}
        self.events = 0
        for folder, _, files in os.walk(index):
            self._keep_names(folder)
            for file in files:
                self._keep_file(Path(folder, file))

    def _keep_names(self, folder):
        with os.scandir(folder) as found:
            self.names[os.stat(folder).st_ino] = {entry.name: entry.inode() for entry in found}

    def _keep_file(self, path):
        self.synced[path.stat().st_ino] = path.read_bytes()

    def fsync(self, real):
        def fsync(descriptor):
            self.fails()
            real(descriptor)
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if path.is_dir():
                self._keep_names(path)
            else:
                self._keep_file(path)
            self.fails()

        return fsync

    def before(self, real):
        def call(*arguments, **named):
            self.fails()
            result = real(*arguments, **named)
            self.fails()
            return result

        return call

    def fails(self):
        """The power fails now."""
        self.events += 1
        content = {}
        for folder, _, files in os.walk(self.index):
            for file in files:
                path = Path(folder, file)
                content[path.stat().st_ino] = path.read_bytes()
        self._write(self.index, self.crashed, content, names_last=True)
        self.check(self.crashed)
        self._write(self.index, self.crashed, content, names_last=False)
        self.check(self.crashed)

    def _write(self, folder, target, content, *, names_last):
        shutil.rmtree(target, ignore_errors=True)
        if names_last:
            self._write_inode(os.stat(folder).st_ino, target, content)
            return
        target.mkdir()
        for path in folder.iterdir():
            if path.is_dir():
                self._write(path, target / path.name, content, names_last=False)
            else:
                (target / path.name).write_bytes(self._durable(path.stat().st_ino, content))

    def _write_inode(self, inode, target, content):
        if inode not in self.names:
            (target.write_bytes(self._durable(inode, content)))
            return
        target.mkdir()
        for name, inner in self.names[inode].items():
            if inner in self.names or inner in content or inner in self.synced:
                self._write_inode(inner, target / name, content)

    def _durable(self, inode, content):
        now = content.get(inode)
        if inode in self.synced and now in {None, self.synced[inode]}:
            return self.synced[inode]
        return (now or b"")[: len(now or b"") // 2]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to see what is synced")
def test_power_fails_at_any_moment(tmp_path, with_encoder, encoder_of_hashes, monkeypatch):
    folder, index = tmp_path / "papers", with_encoder()
    write(folder, range(60))
    first = build([folder], index, SETTINGS, encoder=encoder_of_hashes).snapshot
    shutil.move(index / "encoder", tmp_path / "encoder")  # it does not change
    shutil.rmtree(index / "cache")
    (index / "encoder").symlink_to(tmp_path / "encoder")
    write(folder, range(50, 90), "sails")
    second = build([folder], index, SETTINGS, dry_run=True, encoder=encoder_of_hashes).snapshot
    seen = []

    def check(crashed):
        corpus = open_index(crashed, lambda index: index)
        corpus.close()
        assert not damaged(corpus.snapshot.folder, corpus.snapshot.manifest.files)
        seen.append(corpus.info.id)

    disk = Disk(index, tmp_path / "crashed", check)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", disk.fsync(os.fsync))
        for name in ("rename", "replace", "link"):
            patch.setattr(os, name, disk.before(getattr(os, name)))
        build([folder], index, SETTINGS, encoder=encoder_of_hashes)
    assert disk.events > 50
    assert set(seen) == {first, second}
    assert seen[-1] == second
    assert seen.index(second) > len(seen) / 2


def test_a_failing_fsync_changes_nothing(tmp_path, with_encoder, encoder_of_hashes, monkeypatch):
    folder, index = tmp_path / "papers", with_encoder()
    write(folder, range(60))
    first = build([folder], index, SETTINGS, encoder=encoder_of_hashes).snapshot
    real, calls, fails_at = os.fsync, [], [0]

    def failing(descriptor):
        calls.append(descriptor)
        if len(calls) in fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    write(folder, [100])
    second = build([folder], index, SETTINGS, encoder=encoder_of_hashes).snapshot
    count = len(calls)
    assert count > 10
    messages = []
    for at in range(1, count + 1, 5):
        calls.clear()
        fails_at[:] = [at]
        before = second if (folder / "100.txt").exists() else first
        (folder / "100.txt").unlink() if before == second else write(folder, [100])
        after = first if before == second else second
        try:
            build([folder], index, SETTINGS, encoder=encoder_of_hashes)
        except WriteError as error:
            messages.append(str(error))
        assert check_whole(index, {before, after}) in {before, after}
        fails_at.clear()
        assert build([folder], index, SETTINGS, encoder=encoder_of_hashes).snapshot == after
    assert messages
    assert all("cannot be written (Input/output error)" in message for message in messages)
    assert not list((index / "snapshots").glob(".*"))


def test_killed_at_any_moment(tmp_path, with_encoder, encoder_of_hashes):
    folder, index = tmp_path / "papers", with_encoder()
    write(folder, range(200))
    command = [sys.executable, str(Path(indexes.__file__).with_name("killed_indexer.py")), str(folder), str(index)]
    started = time.monotonic()
    subprocess.run(command, check=True, timeout=60)
    seconds = time.monotonic() - started
    chance = random.Random(0)
    snapshots = {open_history(index).entries()[0].name.split("-")[0]}
    for _ in range(3):
        write(folder, chance.sample(range(300), 60), chance.choice(["sails", "sinks", "waits"]))
        for path in chance.sample(sorted(folder.iterdir()), 10):
            path.unlink()
        snapshots.add(build([folder], index, SETTINGS, dry_run=True, encoder=encoder_of_hashes).snapshot)
        process = subprocess.Popen(command)
        time.sleep(chance.uniform(0.3, 1.1) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        check_whole(index, snapshots)
    build([folder], index, SETTINGS, encoder=encoder_of_hashes)
    once = with_encoder("once")
    build([folder], once, SETTINGS, encoder=encoder_of_hashes)
    assert check_whole(index, snapshots) == check_whole(once, snapshots)
    assert not list((index / "snapshots").glob(".*"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 20 megabytes, where one may be mounted, and what leaves so many kilobytes of it free."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("nothing may be mounted here")

    def leave(kilobytes):
        filler = place / "filler"
        filler.unlink(missing_ok=True)
        free = shutil.disk_usage(place).free - kilobytes * 1024
        filler.write_bytes(bytes(max(0, free)))

    yield place, leave
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_changes_nothing(tmp_path, small_disk, with_encoder, encoder_of_hashes):
    place, leave = small_disk
    folder, index = tmp_path / "papers", place / "index"
    index.mkdir()
    (index / "encoder").symlink_to(with_encoder() / "encoder")
    write(folder, range(20))
    first = build([folder], index, SETTINGS, encoder=encoder_of_hashes).snapshot
    write(folder, range(20, 220))
    messages = []
    for kilobytes in (0, 40, 100, 200, 400, 700, 1000, 1400):
        leave(kilobytes)
        try:
            build([folder], index, SETTINGS, encoder=encoder_of_hashes)
        except WriteError as error:
            messages.append(str(error))
            assert check_whole(index, {first}) == first
    assert len(messages) >= 6
    for message in messages:
        assert "make room on the disk" in message
        assert len(message.splitlines()) == 1
    leave(10_000)
    report = build([folder], index, SETTINGS, encoder=encoder_of_hashes)
    assert report.documents == 220
    assert check_whole(index, {report.snapshot})
    assert not list((index / "snapshots").glob(".*"))
    gc.collect()  # runs that failed may hold files open until then
    subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    assert check_whole(index, {report.snapshot})
    with pytest.raises(WriteError, match="Read-only file system"):
        build([folder], index, SETTINGS, encoder=encoder_of_hashes)


def test_one_writer_at_a_time(index_copy, root, tmp_path):
    command = [sys.executable, "-m", "rag_qa", "index", "seeds", "--index", str(index_copy)]
    with writing(index_copy):
        with pytest.raises(BusyError, match="try again when it has finished"), writing(index_copy, wait=False):
            pass
        refused = subprocess.run(
            [*command, "--no-wait"], cwd=root, capture_output=True, text=True, timeout=60, check=False
        )
        assert refused.returncode == 2
        assert refused.stderr.startswith("Another process is writing the index in")
        assert len(refused.stderr.splitlines()) == 1
        with Engine.open(index_copy) as engine:  # readers do not wait
            assert engine.ask(QUESTION).passages
        waiting = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "waiting until it has finished" in waiting.stderr.readline()
        assert waiting.poll() is None
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "3 unchanged" in out


def test_the_lock_ends_with_its_process(index_copy):
    code = f"import os; from rag_qa.index.local.snapshot.commit import writing; from pathlib import Path\n\
with writing(Path({str(index_copy)!r})): print('held', flush=True); os.read(0, 1)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(BusyError), writing(index_copy, wait=False):
        pass
    holder.kill()
    holder.communicate()
    with writing(index_copy, wait=False):
        pass


def test_a_read_only_index_is_opened(index_copy):
    with Engine.open(index_copy) as engine:
        expected = [passage.text for passage in engine.ask(QUESTION).passages]
    for path in [*index_copy.rglob("*"), index_copy]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in index_copy.rglob("*")}
    try:
        with Engine.open(index_copy) as engine:
            assert [passage.text for passage in engine.ask(QUESTION).passages] == expected
        assert {path: path.stat().st_mtime_ns for path in index_copy.rglob("*")} == before
    finally:
        for path in [index_copy, *index_copy.rglob("*")]:
            path.chmod(0o755)
