"""Which requests of web pages are refused."""

import pytest

from rag_qa.service.http.origins import is_foreign

OWN, FOREIGN = "http://127.0.0.1:8080", "https://evil.example"


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ([], False),
        ([("host", "127.0.0.1:8080")], False),
        ([("host", "127.0.0.1:8080"), ("origin", OWN)], False),
        ([("host", "LOCALHOST"), ("origin", "http://localhost")], False),
        ([("host", "localhost:80"), ("origin", "http://localhost")], False),
        ([("host", "[::1]:8080"), ("origin", "http://[::1]:8080")], False),
        ([("host", "127.0.0.1:8080"), ("origin", "https://Friend.example")], False),
        ([("host", "127.0.0.1:8080"), ("origin", "https://127.0.0.1:8080")], True),
        ([("host", "127.0.0.1:8080"), ("origin", OWN), ("origin", FOREIGN)], True),
        ([("host", "127.0.0.1:8080"), ("origin", "")], True),
        ([("host", "127.0.0.1:8080"), ("origin", f"{OWN}/")], True),
        ([("origin", "http://")], True),
    ],
)
def test_whose_pages_may_call(headers, foreign):
    scope = {"type": "http", "scheme": "http", "headers": [(name.encode(), value.encode()) for name, value in headers]}
    assert is_foreign(scope, ["https://friend.EXAMPLE"]) is foreign
