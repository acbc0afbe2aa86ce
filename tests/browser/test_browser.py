"""What a person does: asks, reads, opens the source at the mark, copies; with the keyboard, and on a narrow phone."""

import json
from urllib.parse import urlencode

import httpx
import pytest
from support import files
from support.servers import serving

from rag_qa import build
from rag_qa.service.keys import create_key

SERIOUS = {"serious", "critical"}
QUESTION = "what did HMICFRS recommend?"
ASKED = "/?" + urlencode({"q": QUESTION})


def answer(url, question=QUESTION):
    return httpx.post(f"{url}/ask", json={"question": question}).json()


def test_asking_and_reading_by_keyboard(opened, url):
    first, second, *_ = answer(url)["passages"]
    page = opened()
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".result")
    marks = page.locator(".result").first.locator("mark.answer")
    assert marks.all_text_contents() == [mark["text"] for mark in first["highlights"]]
    page.keyboard.press("Enter")
    page.wait_for_selector("#cited")
    assert page.locator("#cited").evaluate("each => each.textContent") == first["text"]
    page.wait_for_function(
        "() => { const at = document.getElementById('cited').getBoundingClientRect();"
        " return at.top < innerHeight && at.bottom > 0 }"
    )
    page.go_back()
    page.wait_for_selector(".result")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator(".result.chosen .quote").text_content() == second["text"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#cited")
    assert page.locator("#cited").evaluate("each => each.textContent") == second["text"]
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"


def test_copying(opened, url):
    first = answer(url)["passages"][0]
    page = opened(ASKED)
    page.keyboard.press("c")
    page.wait_for_function("() => document.getElementById('said').textContent.startsWith('Copied')")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"“{first['text']}”")
    assert first["citation"]["sha256"] in copied
    page.locator(".result").first.locator(".copy summary").click()
    page.get_by_role("link", name="CSL-JSON").first.click()
    page.wait_for_function("() => document.getElementById('said').textContent.includes('CSL-JSON')")
    (item,) = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert item["abstract"] == first["text"]


def test_recent_questions_stay_in_the_browser(opened):
    page = opened(ASKED)
    page.goto("/")
    assert page.locator("#recent a").all_text_contents() == [QUESTION]
    page.locator("#forget").click()
    page.reload()
    assert not page.locator("#recent").is_visible()


def test_filters_and_what_is_not_answered(opened):
    page = opened(ASKED)
    page.locator(".filters summary").click()
    page.get_by_label("Document").fill("001_*")
    page.get_by_role("button", name="Ask").click()
    page.wait_for_url("**document=001_**")
    assert set(page.locator(".result .where span:first-child").all_text_contents()) == {"001_5f55143bc41e5fed.txt"}
    page = opened("/?" + urlencode({"q": "how long does sourdough bread bake?"}))
    assert page.get_by_text("Nothing in this collection answers this.").is_visible()


def test_without_javascript(opened, url):
    first = answer(url)["passages"][0]
    page = opened("/", java_script_enabled=False)
    page.locator("#q").fill(QUESTION)
    page.get_by_role("button", name="Ask").click()
    page.locator("a.open").first.click()
    assert page.locator("#cited").text_content() == first["text"]
    page.get_by_label("Search in this document").fill("home office")
    page.get_by_role("button", name="Find").click()
    assert page.locator(".matches li").count() > 1


PAGES = {"home": "/", "asked": ASKED, "collection": "/collection"}


def reader(url):
    cited = answer(url)["passages"][0]["citation"]
    return f"/read/{cited['id']}?start={cited['start']}&end={cited['end']}&find=police"


def serious(page, axe):
    """What axe-core finds that is serious."""
    page.evaluate(f"() => {{ {axe} }}")
    found = [each for each in page.evaluate("axe.run(document)")["violations"] if each["impact"] in SERIOUS]
    return [(each["id"], each["help"], [node["html"] for node in each["nodes"]]) for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*PAGES, "reader", "problem"])
def test_no_serious_finding_of_axe(opened, axe, screenshots, url, name, scheme):
    too_long = f"/?{urlencode({'q': 'x' * 2500})}"
    path = (PAGES | {"reader": reader(url), "problem": too_long})[name]
    page = opened(path, 400 if name == "problem" else 200, color_scheme=scheme)
    for summary in page.locator("summary").all():
        summary.click()
    page.screenshot(path=screenshots / f"{name}-{scheme}.png", full_page=True)
    assert serious(page, axe) == []


@pytest.mark.parametrize("width", [380, 320])
@pytest.mark.parametrize("name", [*PAGES, "reader"])
def test_narrow(opened, screenshots, url, name, width):
    page = opened((PAGES | {"reader": reader(url)})[name], viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=screenshots / f"{name}-{width}.png", full_page=True)


def test_hostile_text_and_a_very_long_document(opened, tmp_path, with_encoder):
    folder = tmp_path / "papers"
    folder.mkdir()
    hostile = '<script>document.title = "taken"</script>'
    lines = [f"Line {number % 40} of the log says that ship {number % 8} has paid its fee." for number in range(20_000)]
    lines[13_000] = f"{hostile} The pilot Aurelia guides every ship through the narrows of Kiel."
    (folder / f"{'<b>'}log.txt").write_text("\n".join(lines))
    (folder / "rtl.txt").write_text(f"\u05e9\u05dc\u05d5\u05dd \u202e{hostile}\n\n{'x' * 200_000}\n")
    index = with_encoder()
    build([folder], index)
    question = "pilot Aurelia narrows of Kiel"
    with serving(index) as url:
        first = answer(url, question)["passages"][0]
        page = opened("/?" + urlencode({"q": question}), host=url)
        assert hostile in page.locator(".result .quote").first.text_content()
        page.locator("a.open").first.click()
        page.wait_for_selector("#cited")
        assert page.locator("#cited").evaluate("each => each.textContent") == first["text"]
        page.goto("/collection")
        assert page.title() == "Collection – rag_qa"
        page.get_by_role("link", name="rtl.txt").or_(page.get_by_role("link", name=hostile)).first.click()
        page.wait_for_selector("#text")
        assert hostile in page.locator("#text").text_content()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.title() != "taken"


def test_going_to_a_page(opened, tmp_path, with_encoder):
    (tmp_path / "paper.pdf").write_bytes(files.pdf([f"On page {number} ships wait. " * 40 for number in range(1, 9)]))
    index = with_encoder()
    build([tmp_path / "paper.pdf"], index)
    with serving(index) as url:
        page = opened("/?" + urlencode({"q": "ships wait on page 1"}), host=url)
        page.locator("a.open").first.click()
        page.get_by_label("Go to page").fill("8")
        page.get_by_role("button", name="Go").click()
        page.wait_for_url("**#p8")
        place = "document.getElementById('p8').getBoundingClientRect().top"
        assert 0 <= page.evaluate(place) < page.viewport_size["height"]


def test_signing_in_by_keyboard(opened, axe, screenshots, seeds_index, root, tmp_path):
    keys = tmp_path / "keys.json"
    key = create_key(keys, "Ada Lovelace", ("ask",))[1]
    with serving(seeds_index, root, "serve", "--require-keys", keys_file=keys) as guarded:
        page = opened("/collection", host=guarded)
        assert page.url == f"{guarded}/sign-in?to=%2Fcollection"
        assert page.locator("#key").evaluate("field => field === document.activeElement")
        page.screenshot(path=screenshots / "sign-in.png")
        assert serious(page, axe) == []
        page.keyboard.type(key)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{guarded}/collection")
        assert page.context.cookies()[0]["httpOnly"]
        page.goto("/")
        page.keyboard.type(QUESTION)
        page.keyboard.press("Enter")
        page.locator(".result").first.wait_for()
        page.screenshot(path=screenshots / "signed-in.png")
        assert serious(page, axe) == []
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{guarded}/sign-in")
        assert page.goto("/collection").url.startswith(f"{guarded}/sign-in")
