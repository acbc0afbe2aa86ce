"""Checks with an independent parser (pypdf) whether passages from PDFs are on the page they cite.

    python benchmarks/pages.py FOLDER

A passage is on its page when at least 90 % of its words are (NFKC, case folded, soft hyphens left out): as words, or,
since two parsers put spaces in different places, as letters of the page with its spaces left out.
"""

import logging
import re
import sys
import unicodedata
from pathlib import Path

import pypdf

from rag_qa.ingest.chunker import Chunker
from rag_qa.ingest.parsers.dispatch import parse_file
from rag_qa.ingest.sources import find_sources
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER, IndexSettings

ENOUGH = 0.9


def main() -> None:
    """Prints the share of passages that are on their page, and each one that is not."""
    logging.disable(logging.CRITICAL)  # pypdf logs many warnings about broken files
    encoder = SentenceEncoder.from_name(DEFAULT_ENCODER)
    chunker = Chunker(encoder.tokenizer, encoder.room, IndexSettings())
    documents = passages = as_words = as_letters = 0
    for file in find_sources([Path(sys.argv[1])], max_file_mb=512).files:
        if file.location.suffix.lower() != ".pdf":
            continue
        for document in parse_file(file, IndexSettings()).documents:
            documents += 1
            pages = read_pages(file.location)
            for passage in chunker.chunk(document):
                passages += 1
                page = pages[passage.page - 1] if passage.page and passage.page <= len(pages) else ""
                words, there = words_of(passage.text), set(words_of(page))
                letters = "".join(words_of(page))
                exact = sum(word in there for word in words) / len(words) if words else 1.0
                folded = sum(word in there or word in letters for word in words) / len(words) if words else 1.0
                as_words += exact >= ENOUGH
                as_letters += folded >= ENOUGH
                if folded < ENOUGH:
                    print(f"{document.path}, page {passage.page}: {folded:.0%} of {len(words)} words")
                    print(f"  here  {passage.text[:60]!r}\n  pypdf {page[:60]!r}")
    print(f"{documents} PDFs with text, {passages} passages")
    print(f"{as_words / passages:.2%} hold {ENOUGH:.0%} of their words on the page they cite as words,")
    print(f"{as_letters / passages:.2%} as words or as letters ({passages - as_letters} do not)")


def read_pages(location: Path) -> list[str]:
    """Returns the text of each page, as pypdf extracts it."""
    try:
        reader = pypdf.PdfReader(location)
        if reader.is_encrypted:
            reader.decrypt("")  # some files are encrypted with no password
        return [page.extract_text() or "" for page in reader.pages]
    except Exception as error:
        print(f"{location.name}: pypdf cannot read it ({type(error).__name__})")
        return []


def words_of(text: str) -> list[str]:
    """Returns the normalised words of a text."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).replace("\xad", "").casefold())


if __name__ == "__main__":
    main()
