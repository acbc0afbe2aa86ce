"""Pages of the web."""

from support.parsing import read

PAGE = """<html lang="en"><head><title>Harbour news</title><meta name="author" content="Anna Berg">
<meta property="article:published_time" content="2024-05-17"><link rel="canonical" href="https://example.org/fees">
</head><body><nav><ul><li><a href="/">Home</a></li><li><a href="/contact">Contact us</a></li></ul></nav>
<article><h1>Harbour news</h1><p>From May on every ship pays a fee of ten crowns for each night in the port.</p>
<h2>Exceptions</h2><p>Boats of less than five metres pay nothing, as long as they leave before noon.</p></article>
<footer><p>All rights reserved. Cookie settings.</p></footer></body></html>"""


def test_html_is_its_main_content(tmp_path):
    (tmp_path / "a.html").write_text(PAGE)
    document = read(tmp_path / "a.html")
    assert document.title == "Harbour news"
    assert "ten crowns" in document.text
    assert "Boats of less than five metres" in document.text
    assert "Contact us" not in document.text
    assert "Cookie" not in document.text
    assert [heading.title for heading in document.headings] == ["Harbour news", "Exceptions"]
    said = {name: document.metadata[name] for name in ("authors", "date", "language", "url", "format")}
    assert said == {
        "authors": ["Anna Berg"],
        "date": "2024-05-17",
        "language": "en",
        "url": "https://example.org/fees",
        "format": "html",
    }


def test_html_without_a_main_content_is_read_whole(tmp_path):
    (tmp_path / "a.html").write_text("<html><body><nav>Home port</nav></body></html>")
    assert "Home port" in read(tmp_path / "a.html").text
