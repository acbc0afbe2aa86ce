"""What takes long to parse, or another program; all else is in tests/unit/ingest/parsers."""

import subprocess

import pypdfium2
import pytest
from support.files import pdf, png, scan, zipped
from support.parsing import read, read_all


def test_a_docx_that_unpacks_to_too_much_is_refused(tmp_path):
    bomb = zipped({"word/document.xml": b"<w:t>" + b"A" * 120_000_000, "[Content_Types].xml": "<Types/>"})
    assert len(bomb) < 1_000_000
    (tmp_path / "a.docx").write_bytes(bomb)
    assert read_all(tmp_path / "a.docx").reason.startswith("too much is packed in it")


@pytest.mark.skipif(
    subprocess.run(["sh", "-c", "command -v tesseract"], capture_output=True, check=False).returncode != 0,
    reason="Tesseract is not installed",
)
def test_ocr_where_tesseract_is_installed(tmp_path):
    """A page is made to a picture, and read again."""
    picture = pypdfium2.PdfDocument(pdf(["Ships pay ten crowns."]))[0].render(scale=2, grayscale=True).to_numpy()
    height, width = picture.shape[:2]
    (tmp_path / "a.png").write_bytes(png(width, height, picture.tobytes()))
    assert read(tmp_path / "a.png", ocr=True).text.strip() == "Ships pay ten crowns."
    (tmp_path / "a.pdf").write_bytes(scan(width, height, picture.tobytes()))
    document = read(tmp_path / "a.pdf", ocr=True)
    assert document.text.strip() == "Ships pay ten crowns."
    assert len(document.pages) == 1
