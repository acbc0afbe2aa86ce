"""Tables, whose rows of texts are passages."""

from support.files import xlsx
from support.parsing import read

from rag_qa.ingest.chunker import Chunker
from rag_qa.settings import IndexSettings

ANSWERS = [
    ["Question", "Answer"],
    ["When does the harbour open?", "It opens in March, when the ice is gone and the pilots are back at work."],
    ["Who pays?", "Every ship pays a fee of ten crowns for each night that it stays in the port."],
]


def test_sheets_are_pages_and_rows_of_texts_are_passages(tmp_path, encoder):
    (tmp_path / "a.xlsx").write_bytes(xlsx({"Fees": [["Ship", "Fee"], ["Boat", "10"]], "Rules": ANSWERS}))
    document = read(tmp_path / "a.xlsx")
    assert document.page_unit == "sheet"
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(document)
    assert [passage.page for passage in passages] == [1, 2, 2]
    assert passages[0].section == "Fees"
    assert passages[2].text.startswith("Who pays?\tEvery ship")
    assert "Question Answer" in passages[2].context
    assert passages[2].section == "Rules"


def test_csv_is_the_files_own_text_with_rows_as_passages(tmp_path, encoder):
    rows = [",".join(f'"{cell}"' for cell in row) for row in ANSWERS]
    text = "\r\n".join(rows).replace("in March, when", "in March,\nwhen") + "\r\n"
    (tmp_path / "a.csv").write_text(text, newline="")
    document = read(tmp_path / "a.csv")
    assert document.text == text
    assert document.metadata["rows"] == 3
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(document)
    assert [passage.line for passage in passages] == [1, 4]
    assert passages[0].text.startswith('"Question","Answer"')
    assert "Question" in passages[1].context


def test_a_table_of_numbers_is_cut_like_text(tmp_path):
    (tmp_path / "a.csv").write_text("ship;fee\n" + "boat;10\n" * 50)
    document = read(tmp_path / "a.csv")
    assert document.breaks == ()
    assert [heading.title for heading in document.headings] == ["ship;fee"]
