"""Real components for every test: the packaged encoder, FAISS, tantivy, SQLite, the seeds."""

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from indexes import copy_index, link_encoder
from support.engines import ENGINES

os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several, in the environment of the process that started them
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else each waits for threads that the others keep from running
elif "TESTS_CACHE" in os.environ:  # a folder that outlives this run, so that the next one need not export the encoder
    os.environ["XDG_CACHE_HOME"] = os.environ["TESTS_CACHE"]
else:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="rag-qa-tests-")  # where exports of encoders are kept

from rag_qa import Engine, build
from rag_qa.cli.commands import main
from rag_qa.evaluation import statistics
from rag_qa.evaluation.gold.gold_file import load_gold
from rag_qa.evaluation.report.aggregates import make_report
from rag_qa.evaluation.results import Evaluation, Report
from rag_qa.evaluation.run.subjects import Subject, gold_subject
from rag_qa.models.hardware import best_precision
from rag_qa.models.onnx_encoder import CONFIG, MODEL, THREADS, TOKENIZER, OnnxEncoder
from rag_qa.models.sentence_transformer import PACKAGED, SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER
from rag_qa.types import Precision

settings.register_profile("same every time", derandomize=True)
settings.load_profile("same every time")

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "seeds"


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
    """What needs no index comes first: of two workers, one is busy with that while the other exports the encoder."""
    items.sort(key=lambda item: not {"seeds_index", "exports"}.isdisjoint(getattr(item, "fixturenames", ())))


def pytest_unconfigure() -> None:
    if os.environ.keys().isdisjoint({"PYTEST_XDIST_WORKER", "TESTS_CACHE"}):
        shutil.rmtree(os.environ["XDG_CACHE_HOME"])


@pytest.fixture(scope="session", autouse=True)
def encoder() -> Iterator[SentenceEncoder]:
    """The default encoder, which every build of this process takes: its model is loaded once."""
    best = best_precision()
    found = SentenceEncoder.find(DEFAULT_ENCODER, best)
    find, published = SentenceEncoder.find, PACKAGED[DEFAULT_ENCODER]

    def find_once(name: str, precision: Precision | None = None) -> SentenceEncoder:
        known = (name, precision or best) == (DEFAULT_ENCODER, best) and PACKAGED[name] == published
        return found if known else find(name, precision)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SentenceEncoder, "find", find_once)
        yield found


@pytest.fixture(scope="session", autouse=True)
def loaded_once() -> Iterator[None]:
    """An export of an encoder is loaded once too: most indexes have links to the same files."""
    load, loaded = OnnxEncoder.open, {}

    def load_once(folder: Path, threads: int = THREADS) -> OnnxEncoder:
        OnnxEncoder.check(folder)
        found = [(folder / name).stat() for name in (MODEL, TOKENIZER, CONFIG)]
        key = (threads, *((file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns) for file in found))
        if key not in loaded:
            loaded[key] = load(folder, threads)
        return loaded[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OnnxEncoder, "open", load_once)
        yield


@pytest.fixture(scope="session")
def seeds_index(tmp_path_factory) -> Path:
    """The index of the seeds, built once; tests that change an index take `index_copy`."""
    index = tmp_path_factory.mktemp("seeds") / "index"
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        build(["seeds"], index)
    finally:
        os.chdir(before)
    return index


@pytest.fixture
def index_copy(seeds_index, tmp_path) -> Path:
    return copy_index(seeds_index, tmp_path / "index")


@pytest.fixture(scope="session")
def engine(seeds_index) -> Iterator[Engine]:
    with Engine.open(seeds_index) as engine:
        yield engine


@pytest.fixture(scope="session", autouse=True)
def few_resamples() -> Iterator[None]:
    """Rougher intervals and p values, in a tenth of the time; test_statistics.py takes the real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 200)
        patch.setattr(statistics, "PERMUTATIONS", 4999)
        yield


@pytest.fixture(scope="session")
def subject(engine) -> Subject:
    """The gold questions about the seeds."""
    return gold_subject("gold", load_gold(ROOT / "eval" / "gold.jsonl"), engine)


@pytest.fixture(scope="session")
def evaluation(subject) -> Evaluation:
    return subject.evaluate(lambda *_: None)


@pytest.fixture(scope="session")
def report(subject, evaluation) -> Report:
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
