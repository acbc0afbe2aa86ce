"""Names in Host headers."""

from rag_qa.service.http.hosts import host_name


def test_host_names():
    assert [host_name(h) for h in ("a:1", "[::1]:8080", "[::1]", "A.example.", "")] == [
        "a",
        "[::1]",
        "[::1]",
        "a.example",
        "",
    ]
