"""The pages as a server sends them: without JavaScript, which only adds convenience."""

import json
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import lxml.html
import pytest
from litestar.testing import TestClient
from support import files
from support.indexes import build
from support.servers import LOCAL

from rag_qa import Settings
from rag_qa.answering.references import FORMS
from rag_qa.service.app import create_app
from rag_qa.service.pages import document_view as reader
from rag_qa.service.pages.document_view import SHOWN_WHOLE

QUESTION = "what did HMICFRS recommend?"
HOSTILE = '<script>alert("x")</script>'
WORDS = "The harbour of Kiel opens in March, and every ship pays a fee."


def served(index):
    return TestClient(create_app(Settings(index=str(index))), base_url=LOCAL)


@pytest.fixture(scope="module")
def client(seeds_index, root):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        with served(seeds_index) as client:
            yield client


@pytest.fixture
def papers(tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    return folder


def page(response, status=200):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "Traceback" not in response.text
    tree = lxml.html.fromstring(response.text)
    assert [each.get("src", "").partition("?")[0] for each in tree.iter("script")] == ["/static/page.js"]
    assert not tree.xpath("//*[@style or @onclick or @onerror]")
    assert not tree.xpath("//style")
    assert not any(
        urlsplit(link).scheme or urlsplit(link).netloc
        for link in tree.xpath("//link/@href | //script/@src | //img/@src")
    )
    return tree


def texts(tree, path):
    return [each.text_content() for each in tree.xpath(path)]


def test_without_a_question_there_is_a_box_that_has_focus(client):
    tree = page(client.get("/"))
    assert tree.xpath("//input[@name='q']/@autofocus")
    assert "3 documents" in tree.xpath("//*[@class='lead']")[0].text_content()
    assert not tree.xpath("//*[@class='result']")


def test_the_marks_of_an_answer_and_where_they_open(client):
    told = client.post("/ask", json={"question": QUESTION}).json()
    tree = page(client.get("/", params={"q": QUESTION}))
    assert tree.xpath("//input[@name='q']/@value") == [QUESTION]
    assert not tree.xpath("//input[@name='q']/@autofocus")
    shown = tree.xpath("//li[@class='result']")
    assert len(shown) == len(told["passages"]) == 5
    for result, passage in zip(shown, told["passages"], strict=True):
        assert result.xpath(".//blockquote")[0].text_content() == passage["text"]
        marks = texts(result, ".//blockquote/mark[@class='answer']")
        assert marks == [mark["text"] for mark in passage["highlights"]]
        opened = page(client.get(result.xpath(".//a[@class='open']/@href")[0]))
        assert texts(opened, "//mark[@id='cited']") == [passage["text"]]
        assert not opened.xpath("//*[contains(@class, 'notice')]")
        assert opened.xpath("//a[@class='back']/@href") == [f"/?{urlencode({'q': QUESTION})}"]
    (defined,) = tree.xpath("//*[@class='summary']/a/@href")
    expanded = told["expansions"][0]["expanded"]
    assert texts(page(client.get(defined)), "//mark[@id='cited']") == [expanded]
    assert "HMICFRS as “Her Majesty's Inspectorate" in tree.xpath("//*[@class='summary']")[0].text_content()
    opened = page(client.get(shown[0].xpath(".//a[@class='open']/@href")[0]))
    others = texts(opened, "//mark[contains(@class, 'other')]")
    assert others == [
        p["text"] for p in told["passages"][1:] if p["citation"]["id"] == told["passages"][0]["citation"]["id"]
    ]


def test_the_halves_of_a_question_are_listed_with_their_passages(client):
    question = "Compare Liberty and Kalayaan."
    told = client.post("/ask", json={"question": question}).json()
    tree = page(client.get("/", params={"q": question}))
    shown = [" ".join(each.split()) for each in texts(tree, "//ul[@class='parts']/li")]
    assert [part["question"] for part in told["parts"]] == ["What about Liberty?", "What about Kalayaan?"]
    for line, part in zip(shown, told["parts"], strict=True):
        assert line.startswith(part["question"])
        assert f"Passages {', '.join(map(str, part['passages']))}, confidence" in line
    assert not page(client.get("/", params={"q": QUESTION})).xpath("//ul[@class='parts']")


def test_a_question_that_nothing_answers(client):
    tree = page(client.get("/", params={"q": "how long does sourdough bread bake?"}))
    notice = tree.xpath("//*[contains(@class, 'notice')]")[0].text_content()
    assert "Nothing in this collection answers this." in notice
    assert "but not “sourdough”, “bread” or “bake”." in notice
    assert len(tree.xpath("//li[@class='result']")) == 5
    assert "nearest" in tree.xpath("//ol/@class")[0]


def test_filters_of_the_form(client):
    blank = {"document": "", "format": "", "language": "", "date_from": " ", "date_to": "", "k": "10"}
    tree = page(client.get("/", params={"q": QUESTION, **blank}))
    assert len(tree.xpath("//li[@class='result']")) > 5
    tree = page(client.get("/", params={"q": QUESTION, "document": "001_*", "format": "text"}))
    assert set(texts(tree, "//li[@class='result']//p[@class='where']/span[1]")) == {"001_5f55143bc41e5fed.txt"}
    assert tree.xpath("//input[@name='document']/@value") == ["001_*"]
    assert tree.xpath("//select[@name='format']/option[@selected]/@value") == ["text"]
    assert tree.xpath("//details[@class='filters']/@open")
    several = {"document": ["000_*", "001_*"], "metadata": "format=text", "k": "7"}
    tree = page(client.get("/", params={"q": QUESTION, **several}))
    kept = [(each.get("name"), each.get("value")) for each in tree.xpath("//form//input[@name!='q']")]
    assert {("document", "000_*"), ("document", "001_*"), ("metadata", "format=text")} <= set(kept)
    assert tree.xpath("//select[@name='k']/option[@selected]/@value") == ["7"]
    tree = page(client.get("/", params={"q": QUESTION, "date_from": "2030"}))
    assert "No passage is left by the filters" in tree.xpath("//*[@class='notice']")[0].text_content()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"q": QUESTION, "k": "many"}, "k is “many”: it must be a whole number."),
        ({"q": QUESTION, "k": "0"}, "k is 0: it must be from 1 to 100."),
        ({"q": QUESTION, "date_from": "soon"}, "date_from is “soon”"),
        ({"q": "x" * 3000}, "The question has 3000 characters"),
    ],
)
def test_what_cannot_be_asked_is_said_on_the_page(client, query, words):
    tree = page(client.get("/", params=query), 400)
    assert words in tree.xpath("//*[@role='alert']")[0].text_content()
    assert tree.xpath("//input[@name='q']/@value") == [query["q"]]


def test_a_document_that_is_gone(client):
    tree = page(client.get("/read/0123456789abcdef", params={"quote": HOSTILE}), 404)
    assert "No document has the id “0123456789abcdef”." in tree.xpath("//*[@role='alert']")[0].text_content()
    assert texts(tree, "//blockquote") == [HOSTILE]
    page(client.get("/read/x", params={"start": "-1"}), 400)
    tree = page(client.get("/read/x", params={"find": "zebra " * 100}), 400)
    assert "find has 600 characters: at most 100" in tree.xpath("//*[@role='alert']")[0].text_content()
    assert client.get("/read/").status_code == 404


def test_text_that_looks_like_markup_is_shown_as_text(papers, with_encoder):
    hidden = "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd"
    text = f"{HOSTILE}\n\n{WORDS} {HOSTILE} &amp; <b>bold</b> {hidden}\n\n{'long' * 50_000}\n"
    name = "<img src=x onerror=alert(1)>.txt"
    (papers / name).write_text(text)
    index = with_encoder()
    build([papers], index)
    with served(index) as client:
        tree = page(client.get("/", params={"q": f"{HOSTILE} harbour of Kiel fee \u202e"}))
        assert any(HOSTILE in quote for quote in texts(tree, "//blockquote"))
        assert name in texts(tree, "//p[@class='where']/span[1]")
        assert texts(tree, "//h2")[0] == HOSTILE
        opened = page(client.get(tree.xpath("//a[@class='open']/@href")[0]))
        assert texts(opened, "//mark[@id='cited']")[0] in text
        assert len(opened.text_content()) < 2 * SHOWN_WHOLE
        listed = page(client.get("/collection"))
        assert HOSTILE in texts(listed, "//td/a")
        reference = client.get(tree.xpath("//a[@data-form='bibtex']/@href")[0])
        assert reference.headers["content-type"].startswith("application/x-bibtex")


def test_a_citation_of_an_older_snapshot(papers, with_encoder):
    document = papers / "harbour.txt"
    document.write_text(f"Notice\n\n{WORDS} Boats are free.\n\nThe pilot comes at noon to every ship that waits.")
    index = with_encoder()
    build([papers], index)

    def opened(address):
        with served(index) as client:
            tree = page(client.get(address))
        return tree.xpath("//p[contains(@class, 'notice')]"), texts(tree, "//mark[@id='cited']"), tree

    with served(index) as client:
        address = page(client.get("/", params={"q": "harbour of Kiel fee"})).xpath("//a[@class='open']/@href")[0]
    quote = dict(parse_qsl(urlsplit(address).query))["quote"]
    (papers / "other.txt").write_text("Something else altogether, which has nothing to do with it.")
    build([papers], index)
    notice, cited, _ = opened(address)
    assert (notice[0].text_content(), cited) == (
        "The collection has changed since this was cited; the quote still stands exactly here.",
        [quote],
    )
    notice, cited, _ = opened(re.sub(r"&quote=[^&#]*", "", address))
    assert "the link holds no quote" in notice[0].text_content()
    assert cited == [quote]
    document.write_text("A new first line.\n\n" + document.read_text())
    build([papers], index)
    notice, cited, _ = opened(address)
    assert "the quote stands in line" in notice[0].text_content()
    assert cited == [quote]
    assert not opened(address.replace("#cited", "&also=2-9#cited"))[2].xpath("//mark[@class='other']")
    document.write_text("Notice\n\nNothing of it is left.")
    build([papers], index)
    notice, cited, tree = opened(address)
    assert (notice[0].text_content(), cited) == ("The quote is not in this document.", [])
    assert texts(tree, "//blockquote") == [quote]
    (papers / "renamed.txt").write_text(f"Elsewhere\n\n{quote.replace(' ', '  ')}")
    document.unlink()
    build([papers], index)
    with served(index) as client:
        tree = page(client.get(address), 404)
        assert texts(tree, "//*[@role='alert']") == ["“harbour.txt” is not in the collection any more."]
        assert texts(tree, "//blockquote") == [quote]
        (there,) = tree.xpath("//li/a[contains(text(), 'renamed.txt')]/@href")
        (cited,) = texts(page(client.get(there)), "//mark[@id='cited']")
        assert cited.split() == quote.split()


def test_a_link_whose_characters_are_not_its_quote(client):
    passage = client.post("/ask", json={"question": QUESTION}).json()["passages"][1]
    citation, quote = passage["citation"], passage["text"]
    assert "\n" in quote
    address = f"/read/{citation['id']}"
    place = {"start": citation["start"], "end": citation["end"]}
    sent = page(client.get(address, params=place | {"quote": quote.replace("\n", "\r\n"), "find": "victims"}))
    assert not sent.xpath("//p[contains(@class, 'notice')]")
    assert texts(sent, "//mark[@id='cited']") == [quote]
    shifted = page(
        client.get(address, params={"start": citation["start"] + 3, "end": citation["end"] + 3, "quote": quote})
    )
    (notice,) = texts(shifted, "//p[contains(@class, 'notice')]")
    assert notice.startswith(f"The link's characters are not its quote; the quote stands in line {citation['line']},")
    assert texts(shifted, "//mark[@id='cited']") == [quote]
    invented = page(client.get(address, params=place | {"quote": "Nobody said this."}))
    assert texts(invented, "//p[contains(@class, 'notice')]") == ["The quote is not in this document."]
    assert not invented.xpath("//mark[@id='cited']")
    many = ",".join(f"{n}-{n + 1}" for n in range(0, 2000, 2))
    assert len(page(client.get(address, params={"also": many})).xpath("//mark[@class='other']")) == 100


def test_a_long_document_is_read_in_stretches(papers, with_encoder, monkeypatch):
    sizes = {"SHOWN_WHOLE": 9000, "BEFORE": 1200, "AFTER": 4800, "SNAP": 100}
    for name, size in sizes.items():
        monkeypatch.setattr(reader, name, size)
    lines = [f"Line {number} of the log says that ship {number % 97} has paid." for number in range(700)]
    (papers / "log.txt").write_text("\n".join(lines))
    index = with_encoder()
    build([papers], index)
    with served(index) as client:
        found = client.get("/documents").json()["documents"][0]
        text = client.get(f"/documents/{found['id']}/text").text
        start = text.index("Line 400 ")
        quote = text[start : start + 60]
        address = f"/read/{found['id']}"
        tree = page(client.get(address, params={"start": start, "end": start + 60, "quote": quote}))
        assert texts(tree, "//mark[@id='cited']") == [quote]
        assert len(tree.xpath("//div[@class='text']")[0].text_content()) < 6200
        whole = ""
        tree = page(client.get(address))
        while True:
            shown = tree.xpath("//div[@class='text']")[0].text_content()
            place = text.index(shown)
            assert place <= len(whole)
            whole = whole[:place] + shown
            later = tree.xpath("//a[contains(text(), 'Later')]/@href")
            if not later:
                break
            tree = page(client.get(later[0]))
        assert whole == text
        while earlier := tree.xpath("//a[contains(text(), 'Earlier')]/@href"):
            before, tree = place, page(client.get(earlier[0]))
            shown = tree.xpath("//div[@class='text']")[0].text_content()
            place = text.index(shown)
            assert place < before <= place + len(shown)
        tree = page(client.get(address, params={"find": "SHIP  50   has"}))
        assert len(tree.xpath("//ol[@class='matches']/li")) == len(re.findall("ship 50 has", text)) > 5
        tree = page(client.get(tree.xpath("//ol[@class='matches']/li/a/@href")[-1]))
        assert "ship 50 has" in texts(tree, "//mark[@class='found']")


def test_pages_headings_and_the_file(papers, with_encoder):
    (papers / "harbour.md").write_text(f"# Harbour\n\n{WORDS}\n\n## Fees\n\nBoats are free of charge on Sundays.\n")
    (papers / "paper.pdf").write_bytes(files.pdf([WORDS, "Boats are free of charge on Sundays.", "The last page."]))
    index = with_encoder()
    build([papers], index)
    with served(index) as client:
        ids = {each["document"]: each["id"] for each in client.get("/documents").json()["documents"]}
        tree = page(client.get(f"/read/{ids['harbour.md']}"))
        assert texts(tree, "//nav[@class='outline']//a") == ["Harbour", "Fees"]
        (there,) = tree.xpath("//nav[@class='outline']//a[text()='Fees']/@href")
        assert page(client.get(there)).xpath(f"//span[@id='{urlsplit(there).fragment}']")
        file = client.get(tree.xpath("//a[text()='The original file']/@href")[0])
        assert file.content == (papers / "harbour.md").read_bytes()
        assert file.headers["content-disposition"].startswith("attachment")
        assert file.headers["content-type"] == "application/octet-stream"
        tree = page(client.get(f"/read/{ids['paper.pdf']}", params={"page": "2", "find": "boats"}))
        redirected = client.get(f"/read/{ids['paper.pdf']}", params={"page": "9"}, follow_redirects=False)
        assert redirected.status_code == 303
        assert redirected.headers["location"].endswith("#p3")
        assert len(tree.xpath("//mark[@class='found']")) == 1
        assert tree.xpath("//span[@id='p2']/@data-label") == ["Page 2"]
        assert "page 2 of 3" in texts(tree, "//p[@class='where']")[0]
        (shown,) = tree.xpath("//a[contains(text(), 'The PDF')]/@href")
        assert shown.endswith("/file#page=2")
        file = client.get(shown.partition("#")[0])
        assert (file.headers["content-type"], file.content) == ("application/pdf", (papers / "paper.pdf").read_bytes())
        assert file.headers["content-disposition"].startswith("inline")
        (papers / "harbour.md").write_text("Other bytes.")
        gone = client.get(f"/documents/{ids['harbour.md']}/file")
        assert "has changed, or is gone" in page(client.get(f"/read/{ids['harbour.md']}")).text_content()
        (papers / "paper.pdf").unlink()
        (papers / "paper.pdf").mkdir()
        assert client.get(f"/documents/{ids['paper.pdf']}/file").status_code == 404
        assert (gone.status_code, "is not there any more as it was indexed" in gone.json()["detail"]) == (404, True)


def test_the_collection(papers, with_encoder, tmp_path, rag_qa_main):
    (papers / "a.txt").write_text(WORDS)
    (papers / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    index = with_encoder()
    build([papers], index)
    (papers / "b.md").write_text("# Second\n\nBoats are free of charge on Sundays.")
    build([papers], index)
    gold = tmp_path / "gold.jsonl"
    question = {"id": "q1", "question": "What does a ship pay?", "answerable": True}
    gold.write_text(json.dumps(question | {"evidence": [{"document": "a.txt", "quote": WORDS}]}) + "\n")
    with served(index) as client:
        assert not page(client.get("/collection")).xpath("//h2[text()='Evaluation']")
    for changed in (("--set", "dense_weight=1"), ("--ablate", "--stage", "search")):
        assert rag_qa_main("eval", "--gold", gold, "--index", index, *changed)[0] == 0
    assert not (index / "evaluation.json").exists()
    assert rag_qa_main("eval", "--gold", gold, "--index", index)[0] == 0
    with served(index) as client:
        tree = page(client.get("/collection"))
        assert texts(tree, "//dl[@class='figures']//dd")[0] == "2"
        assert "broken.pdf" in texts(tree, "//td")
        assert texts(tree, "//td/a[starts-with(@href, '/read/')]") == ["a.txt", "Second"]
        assert "hit@1" in texts(tree, "//td")
        assert "questions of gold.jsonl" in tree.text_content()
        assert str(tmp_path) not in tree.text_content()
        (changes,) = tree.xpath("//a[text()='What changed since']/@href")
        tree = page(client.get(changes))
        assert texts(tree, "//ul[@class='paths']/li") == ["b.md"]
    for wrong in ({"dense_weight": 0.9}, {}):
        with TestClient(create_app(Settings(index=str(index), **wrong)), base_url=LOCAL) as client:
            assert bool(page(client.get("/collection")).xpath("//h2[text()='Evaluation']")) is not bool(wrong)
    with served(index) as client:
        page(client.get("/collection", params={"offset": "x"}), 400)
        page(client.get("/collection", params={"before": "../../etc"}), 404)
        (index / "evaluation.json").write_text("{")
        assert not page(client.get("/collection")).xpath("//h2[text()='Evaluation']")


def test_files_of_the_pages(client):
    tree = page(client.get("/", params={"q": QUESTION}))
    weight = len(client.get("/", params={"q": QUESTION}).content)
    for address in tree.xpath("//link/@href | //script/@src"):
        file = client.get(address)
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]
        weight += len(file.content)
    assert weight < 100_000
    page(client.get("/static/page.py"), 404)
    assert client.get("/static/..%2fpages.py").status_code == 404


def test_references_over_http(client):
    citation = client.post("/ask", json={"question": QUESTION}).json()["passages"][0]["citation"]
    address = f"/documents/{citation['id']}/reference"
    stretch = {"start": citation["start"], "end": citation["end"]}
    quote = client.get(f"/documents/{citation['id']}/text", params=stretch).text
    for name, form in FORMS.items():
        response = client.get(address, params=stretch | {"form": name})
        assert response.headers["content-type"].startswith(form.media_type)
        assert citation["sha256"] in response.text
    assert quote in client.get(address, params=stretch).text
    assert (
        "one of text, markdown, csl, bibtex" in client.get(address, params=stretch | {"form": "ris"}).json()["detail"]
    )
    assert client.get(address, params=stretch | {"end": 10**9}).status_code == 404
    assert client.get(address, params={"start": 5, "end": 5}).status_code == 404


def test_a_file_whose_name_is_no_text(papers, with_encoder):
    path = papers / b"bad\xff.txt".decode(errors="surrogateescape")
    path.write_text(WORDS)
    index = with_encoder()
    build([papers], index)
    with served(index) as client:
        (document,) = client.get("/documents").json()["documents"]
        assert page(client.get(f"/read/{document['id']}")).xpath("//a[text()='The original file']")
        assert client.get(f"/documents/{document['id']}/file").content == path.read_bytes()
