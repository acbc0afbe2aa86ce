"""The wheel as it is installed, and what is deployed with it: the container, the unit, the page for administrators."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from importlib.metadata import packages_distributions
from urllib.parse import urlsplit

import httpx
import pytest
from support.servers import serving

from rag_qa import Settings, load_settings

NAMED = re.compile(r"\bRAG_QA_([A-Z_]+)\b(?:=([^\s`]+))?")
ROW = re.compile(r"^\| `(\w+)` \| (\S[^|]*) \|", re.MULTILINE)
DOCUMENTS = {"lease.txt": "The lease of the mill ends in March 2027.", "owls.txt": "Owls sleep by day."}


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """The wheel, made of a copy of what it is made of: making it leaves files beside its source."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    shutil.copytree(root / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", made, source], check=True, capture_output=True, timeout=60)
    (found,) = made.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder that it is unpacked to."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def run(installed, tmp_path, monkeypatch):
    """Runs Python in an empty folder, where what was installed comes before all else."""
    monkeypatch.setenv("PYTHONPATH", str(installed))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    def run(*arguments):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    return run


@pytest.fixture
def health(root):
    """What the container asks about its health, asked of a service that runs here: whether it is well."""
    (command,) = re.findall(r"^ +CMD (\[.*\])$", (root / "Containerfile").read_text(), re.MULTILINE)

    def ask(url, hosts):
        environment = {
            "RAG_QA_ALLOWED_HOSTS": hosts,
            "RAG_QA_PORT": str(urlsplit(url).port),
            "http_proxy": "http://127.0.0.1:9",  # which is not to be asked
        }
        asked = [sys.executable, *json.loads(command)[1:]]
        told = subprocess.run(asked, env=os.environ | environment, capture_output=True, timeout=20, check=False)
        return told.returncode == 0

    return ask


def test_the_wheel_holds_every_file_of_the_package(root, wheel):
    package = root / "src" / "rag_qa"
    files = {
        f"rag_qa/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("rag_qa/")}
    assert held == files
    assert {"typed", "html", "js", "css", "svg", "json"} <= {name.rpartition(".")[2] for name in held}


def test_the_wheel_asks_for_all_that_it_imports(root, wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    asked = {plain(each) for each in metadata.get_all("Requires-Dist") if 'extra == "dev"' not in each}
    providers = packages_distributions()
    missing = [
        module
        for module in imported(root / "src")
        if asked.isdisjoint(plain(provider) for provider in providers[module])
    ]
    assert not missing


def plain(requirement):
    """The name that a requirement begins with, in one of its spellings."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("-", "_")


def imported(folder):
    """The packages from elsewhere that modules import."""
    trees = [ast.walk(ast.parse(path.read_text("utf-8"))) for path in folder.rglob("*.py")]
    nodes = [node for tree in trees for node in tree]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"rag_qa"}


def test_what_is_installed_indexes_serves_and_answers(run, installed, with_encoder, health, tmp_path):
    assert run("-m", "rag_qa", "--version").startswith("rag-qa, version ")
    assert run("-c", "import rag_qa; print(rag_qa.__file__)").strip() == str(installed / "rag_qa" / "__init__.py")
    documents, index = tmp_path / "documents", with_encoder()
    documents.mkdir()
    for name, text in DOCUMENTS.items():
        (documents / name).write_text(text)
    assert "2 added" in run("-m", "rag_qa", "index", documents, "--index", index)
    with serving(index) as url, httpx.Client(base_url=url) as client:
        assert "<form" in client.get("/").text
        assert client.get("/static/page.css").headers["content-type"].startswith("text/css")
        for path in re.findall(r'(?:src|href)="(/[^"]+)"', client.get("/schema").text):
            assert client.get(path).status_code == 200, path
        answer = client.get("/ask", params={"q": "when does the lease end?", "k": 1}).json()
        assert answer["passages"][0]["text"] == DOCUMENTS["lease.txt"]
        assert health(url, "127.0.0.1,rag.example.org")
        assert health(url, "*")
        assert not health(url, "rag.example.org")  # the service here does not answer to that
    assert not health(url, "127.0.0.1")


@pytest.mark.parametrize("name", ["Containerfile", "packaging/rag-qa.service", "docs/operations.md", "README.md"])
def test_settings_that_are_named_exist(root, name):
    text = (root / name).read_text()
    for setting, value in NAMED.findall(text):
        assert setting.lower() in Settings.__struct_fields__
        if value:
            load_settings(environ={f"RAG_QA_{setting}": value}, directory=root / "docs")
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        load_settings(tomllib.loads(block), directory=root / "docs")


def test_the_defaults_of_the_page_for_administrators_hold(root):
    (limits,) = re.findall(r"^## Limits\n(.*?)^## ", (root / "docs" / "operations.md").read_text(), re.DOTALL | re.M)
    defaults, rows = Settings(), ROW.findall(limits)
    assert len(rows) > 20
    for setting, shown in rows:
        value = getattr(defaults, setting)
        assert json.loads(shown) == (list(value) if isinstance(value, tuple) else value), setting


def test_the_unit_runs_what_stops_in_time(root):
    unit = dict(
        line.split("=", 1)
        for line in (root / "packaging" / "rag-qa.service").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert unit["ExecStart"].split()[1:] == ["serve"]
    assert int(unit["TimeoutStopSec"]) >= Settings().finish_seconds + 15  # 10 for a job, and some for the rest


def test_container_and_makefile_install_the_same_torch(root):
    found = {re.search(r"torch==[\d.]+", (root / name).read_text())[0] for name in ("Containerfile", "Makefile")}
    assert len(found) == 1


def test_both_lists_of_what_no_image_needs_are_one(root):
    assert (root / ".containerignore").read_text() == (root / ".dockerignore").read_text()
