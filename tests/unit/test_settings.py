import pytest

from rag_qa.errors import SettingsError
from rag_qa.settings import load_settings


def test_layers_in_order(tmp_path):
    (tmp_path / "rag-qa.toml").write_text('depth = 10\nhost = "::1"\nmax_k = 7\n')
    environ = {"RAG_QA_DEPTH": "20", "RAG_QA_MAX_K": "8", "RAG_QA_ALLOWED_HOSTS": "a.example,b.example", "OTHER": "x"}
    settings = load_settings({"depth": 30, "port": None}, environ, tmp_path)
    assert (settings.depth, settings.max_k, settings.host, settings.port) == (30, 8, "::1", 8080)
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.given == {"depth", "max_k", "host", "allowed_hosts"}


def test_lists_in_the_environment(tmp_path):
    environ = {"RAG_QA_CORS_ORIGINS": "https://a.example, http://b.example:81", "RAG_QA_MCP": "1"}
    settings = load_settings({}, environ, tmp_path)
    assert (settings.cors_origins, settings.mcp) == (("https://a.example", "http://b.example:81"), True)


def test_nothing_given_is_the_defaults(tmp_path):
    settings = load_settings({}, {}, tmp_path)
    assert settings.index == "index"
    assert settings.given == frozenset()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"RAG_QA_DEPTH": "many"}, "RAG_QA_DEPTH sets depth to “many”: Expected `int`"),
        ({"RAG_QA_DENSE_WEIGHT": "1.5"}, "Expected `float` <= 1"),
        ({"RAG_QA_PASSAGE_TOKENS": "3"}, "Expected `int` >= 16"),
        ({"RAG_QA_CORS_ORIGINS": "https://a.example/"}, "sets cors_origins to .*: Expected `str` matching"),
        ({"RAG_QA_COLOUR": "red"}, "sets “colour”, which is no setting"),
        ({"RAG_QA_GIVEN": "x"}, "which is no setting"),
    ],
)
def test_bad_values_are_named_with_their_origin(tmp_path, environ, message):
    with pytest.raises(SettingsError, match=message):
        load_settings({}, environ, tmp_path)


def test_broken_toml(tmp_path):
    (tmp_path / "rag-qa.toml").write_text("depth = = 3")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load_settings({}, {}, tmp_path)
