"""Plain text and Markdown, read natively.

The text is the file's own: its decoded content without a byte order mark, line ends as they are, so that offsets
hold in the user's file.
"""

import codecs
import re
from typing import Any

from rag_qa.errors import ReadError
from rag_qa.ingest.parsers.record import Record
from rag_qa.text.structure import markdown_headings, text_title

__all__ = ["MARKDOWN", "PARSER", "decode", "read_markdown", "read_text"]

PARSER = "text/2"
MARKDOWN = frozenset({".md", ".markdown", ".mdown"})
BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?\r?\n)?(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
MOSTLY = 0.6  # of the high bytes of UTF-16 text in a Western language are zero


def read_text(data: bytes) -> Record:
    """Parses plain text.

    Raises:
        ReadError: it is no text.
    """
    text, metadata = decode(data)
    return Record(text=text, parser=PARSER, title=text_title(text), metadata={"format": "text", **metadata})


def read_markdown(data: bytes) -> Record:
    """Parses Markdown, with its headings; YAML front matter becomes metadata. Errors as `read_text`."""
    text, metadata = decode(data)
    front, length = _front_matter(text)
    # For the headings, front matter is blank lines: its last line would underline a heading.
    blank = re.sub(r"[^\r\n]", " ", text[:length])
    headings = markdown_headings(blank + text[length:])
    title = next((h.title for h in headings if h.level == 1), None) or text_title(text[length:])
    metadata = {**front, **metadata, "format": "markdown"}
    return Record(text=text, parser=PARSER, title=title, headings=headings, metadata=metadata)


def decode(data: bytes) -> tuple[str, dict[str, Any]]:
    """Bytes to text, and what is known of their encoding.

    Raises:
        ReadError: they are no text, or no encoding fits.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding), {"encoding": encoding}
            except UnicodeDecodeError:
                raise ReadError(f"begins as {encoding} text but is not: damaged or binary") from None
    if b"\0" in data:
        return _decode_utf16(data)
    try:
        return data.decode("utf-8"), {"encoding": "utf-8"}
    except UnicodeDecodeError:
        pass

    from charset_normalizer import from_bytes, is_binary  # not needed by most, and each worker would wait for it

    guess = None if is_binary(data) else from_bytes(data).best()
    if guess is None:
        raise ReadError("binary data, or text in an encoding that could not be told")
    return data.decode(guess.encoding), {"encoding": guess.encoding, "encoding_guessed": True}


def _decode_utf16(data: bytes) -> tuple[str, dict[str, Any]]:
    """UTF-16 without a byte order mark: every other byte of Western text is zero."""
    for encoding, high, low in (("utf-16-le", data[1::2], data[::2]), ("utf-16-be", data[::2], data[1::2])):
        if len(data) % 2 == 0 and high.count(0) >= MOSTLY * len(high) and not low.count(0):
            try:
                return data.decode(encoding), {"encoding": encoding, "encoding_guessed": True}
            except UnicodeDecodeError:
                break
    raise ReadError("binary data, not text")


def _front_matter(text: str) -> tuple[dict[str, Any], int]:
    """The fields of YAML front matter and its length in characters; none and 0 where there is none."""
    match = FRONT_MATTER.match(text)
    if match is None:
        return {}, 0

    import yaml

    class NoAliases(yaml.SafeLoader):
        """A loader that refuses aliases, by which a few lines can stand for gigabytes."""

        def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - as PyYAML has it
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError
            return super().compose_node(parent, index)

    try:
        fields = yaml.load(match[1] or "", NoAliases)  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return {}, 0  # a line between two rules, and no front matter
    if not isinstance(fields, dict):
        return {}, 0
    return {str(name): value for name, value in fields.items()}, match.end()
