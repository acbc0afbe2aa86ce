"""A real browser on a live server. `make setup-browser` installs what this needs."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from support.servers import serving

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "browser"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="session")
def url(seeds_index):
    with serving(seeds_index, ROOT) as url:
        yield url


@pytest.fixture(scope="session")
def chromium():
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, url):
    """Opens pages in contexts of their own; afterwards nothing may have been logged, or asked of another host."""
    contexts, hosts, wrong = [], [], []

    def open_(path="/", status=200, host=url, **options):
        hosts.append(host)
        context = chromium.new_context(base_url=host, **options)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request", lambda request: wrong.append(request.url) if not request.url.startswith(tuple(hosts)) else None
        )
        assert page.goto(path).status == status
        if status != 200:
            wrong[:] = [each for each in wrong if f"status of {status}" not in each]  # Chromium's own line
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def axe():
    """The checks of axe-core, which `make setup-browser` gets from the npm registry."""
    (newest,) = (ROOT / "build").glob("axe-core-*/axe.min.js")
    return newest.read_text("utf-8")


@pytest.fixture(scope="session")
def screenshots():
    BUILD.mkdir(parents=True, exist_ok=True)
    return BUILD
