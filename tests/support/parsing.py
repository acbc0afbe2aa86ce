"""Files to documents in this process."""

from rag_qa.ingest.parsers.dispatch import parse_file
from rag_qa.ingest.sources import find_sources
from rag_qa.settings import IndexSettings


def read_all(path, **settings):
    """What became of the one file."""
    sources = find_sources([path], max_file_mb=100)
    (file,) = sources.files
    return parse_file(file, IndexSettings(**settings))


def read(path, **settings):
    result = read_all(path, **settings)
    assert result.reason is None
    (document,) = result.documents
    return document
