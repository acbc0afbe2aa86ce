"""Real components for every test: the packaged encoder, FAISS, tantivy, SQLite, the seeds."""

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several, in the environment of the process that started them
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else each waits for threads that the others keep from running
elif "TESTS_CACHE" in os.environ:  # a folder that outlives this run, so that the next one need not export the encoder
    os.environ["XDG_CACHE_HOME"] = os.environ["TESTS_CACHE"]
else:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="rag-qa-tests-")  # where exports of encoders are kept

from support.engines import ENGINES
from support.indexes import build, copy_index, default_encoder, link_encoder

from rag_qa import Engine
from rag_qa.cli.commands import main
from rag_qa.models.onnx_encoder import OnnxEncoder
from rag_qa.models.sentence_transformer import SentenceEncoder

if TYPE_CHECKING:
    from rag_qa.evaluation.results import Evaluation, Report
    from rag_qa.evaluation.run.subjects import Subject

settings.register_profile("same every time", derandomize=True, deadline=None)  # a busy machine is no failure
settings.load_profile("same every time")

ROOT = Path(__file__).parent.parent
FOLDERS = {"unit", "integration", "e2e", "browser", "contract"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--index-engine",
        action="append",
        default=[],
        metavar="MODULE:FACTORY",
        help="another engine for index_contract.py",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The conformance suite runs over every engine."""
    if "engine_named" in metafunc.fixturenames:
        named = [*ENGINES, *metafunc.config.getoption("--index-engine")]
        metafunc.parametrize("engine_named", named, ids=[each.rpartition(":")[2] for each in named])


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test by its folder; what needs no index comes first, while another worker exports the encoder."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        item.add_marker(folder if folder in FOLDERS else "integration")
    items.sort(key=lambda item: not {"seeds_index", "exports"}.isdisjoint(getattr(item, "fixturenames", ())))


def pytest_unconfigure() -> None:
    if os.environ.keys().isdisjoint({"PYTEST_XDIST_WORKER", "TESTS_CACHE"}):
        shutil.rmtree(os.environ["XDG_CACHE_HOME"])


@pytest.fixture(scope="session")
def encoder() -> SentenceEncoder:
    return default_encoder()


@pytest.fixture(scope="session")
def seeds_index(tmp_path_factory) -> Iterator[Path]:
    """The index of the seeds, built once for all processes of a run; tests that change an index take `index_copy`.

    Its encoder stays loaded, for all that opens this index or one with links to the same encoder.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    index = shared / "seeds" / "index"
    with FileLock(shared / "seeds.lock"):
        if not (index / "current").is_file():
            before = Path.cwd()
            os.chdir(ROOT)
            try:
                build(["seeds"], index)
            finally:
                os.chdir(before)
    encoders = [OnnxEncoder.open(folder) for folder in (index / "encoder").iterdir()]
    yield index
    del encoders


@pytest.fixture
def index_copy(seeds_index, tmp_path) -> Path:
    return copy_index(seeds_index, tmp_path / "index")


@pytest.fixture(scope="session")
def engine(seeds_index) -> Iterator[Engine]:
    with Engine.open(seeds_index) as engine:
        yield engine


@pytest.fixture(scope="session")
def subject(engine) -> "Subject":
    """The gold questions about the seeds."""
    from rag_qa.evaluation.gold.gold_file import load_gold
    from rag_qa.evaluation.run.subjects import gold_subject

    return gold_subject("gold", load_gold(ROOT / "eval" / "gold.jsonl"), engine)


@pytest.fixture(scope="session")
def evaluation(subject) -> "Evaluation":
    return subject.evaluate(lambda *_: None)


@pytest.fixture(scope="session")
def report(subject, evaluation) -> "Report":
    from rag_qa.evaluation.report.aggregates import make_report  # imports scipy.stats, which takes two seconds

    return make_report("gold", subject.engine, evaluation)


@pytest.fixture
def few_gold(tmp_path) -> Path:
    """A file of every fifth gold question: 11 of 14 are answerable; for tests in which no figure matters."""
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join((ROOT / "eval" / "gold.jsonl").read_text("utf-8").splitlines()[::5]), "utf-8")
    return path


@pytest.fixture
def rag_qa_main(monkeypatch, capsys):
    """Runs the command line in this process; gives its exit code and what it printed."""

    def run(*arguments: object, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rag-qa", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode()), "utf-8"))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def with_encoder(seeds_index, tmp_path):
    """Makes an empty index that has the exported encoder already."""

    def prepare(name: str = "fresh") -> Path:
        index = tmp_path / name
        link_encoder(seeds_index, index)
        return index

    return prepare
