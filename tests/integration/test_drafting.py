import csv
import json

import pytest

from rag_qa.errors import GoldError, QuestionError
from rag_qa.evaluation.gold.draft import Draft, Quoted, add_questions, enter, place_quote, propose, write_proposals
from rag_qa.evaluation.gold.gold_file import load_gold, locate
from rag_qa.index import open_index
from rag_qa.types import document_id

DOCUMENT = "004_cd7c5bba8cc9e53d.txt"


@pytest.fixture(scope="module")
def index(seeds_index):
    index = open_index(seeds_index, lambda index: index)
    yield index
    index.close()


def test_proposals_differ_and_come_from_all_documents(index):
    proposals = propose(index, 6)
    assert len({(each.document, each.passage.start) for each in proposals}) == 6
    assert {each.document for each in proposals[:4]} == {info.path for info, _ in index.documents()}
    assert propose(index, 6) == proposals
    assert len(propose(index, 100)) == 19


def test_what_is_asked_about_already_is_proposed_last(index, root):
    first = propose(index, 1)[0]
    quote = first.passage.text.split("\n")[0]
    gold = add_questions_of(first, quote, index)
    again = propose(index, 16, gold)
    assert first not in again[:10]


def add_questions_of(proposal, quote, index):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        quoted = Quoted(proposal.document, proposal.passage.start, proposal.passage.end, quote)
        return add_questions(Path(folder, "gold.jsonl"), [Draft("what?", [quoted])], index)


def test_informative_passages_come_before_empty_words(with_encoder, tmp_path, monkeypatch):
    from rag_qa import build

    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "filler.txt").write_text("And so it was, and it was so, and then it was as it was before.")
    (folder / "facts.txt").write_text("In 1987 Ingrid Solberg measured 43 metres of ice at Kongsfjord with a sonar.")
    index = with_encoder()
    build([folder], index)
    opened = open_index(index, lambda opened: opened)
    assert propose(opened, 1)[0].document == "facts.txt"
    opened.close()


def test_a_quote_is_placed_in_the_passage_it_was_taken_from(index):
    text = index.document(document_id(DOCUMENT)).text
    first, last = text.index("HMICFRS"), text.rindex("HMICFRS")
    assert first != last
    assert place_quote(Quoted(DOCUMENT, last - 10, last + 50, "HMICFRS"), index).start == last
    once = place_quote(Quoted(DOCUMENT, 0, len(text), " changes to law\nand policy "), index)
    assert (once.quote, once.start) == ("changes to law and policy", None)
    for quote, message in {
        "unicorns": "does not stand in",
        "": "needs a letter",
        "-": "needs a letter",
        "HMICFRS": "stands 2 times",
    }.items():
        with pytest.raises(GoldError, match=message):
            place_quote(Quoted(DOCUMENT, 0, 3, quote), index)
    with pytest.raises(GoldError, match="is not in the index"):
        place_quote(Quoted("none.txt", 0, 3, "x"), index)


def test_questions_are_added_to_gold_that_is_there(index, engine, tmp_path):
    gold = tmp_path / "gold.jsonl"
    gold.write_text('{"id": "q2", "question": "who?", "answerable": false}')  # no line end
    added = add_questions(
        gold, [Draft(" What changes? ", [Quoted(DOCUMENT, 0, 600, "changes to law")]), Draft("Why?", [])], index
    )
    assert [each.id for each in added] == ["q3", "q4"]
    questions = load_gold(gold)
    assert [each.answerable for each in questions] == [False, True, False]
    assert questions[1].question == "What changes?"
    locate(questions, engine)
    before = gold.read_bytes()
    with pytest.raises(QuestionError, match="no letter"):
        add_questions(gold, [Draft("Good?", []), Draft(" ?", [])], index)
    assert gold.read_bytes() == before


def fill_in(path, rows):
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    for row, filled in zip(table, rows, strict=False):
        row.update(filled)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)
    return table


def test_a_table_is_filled_in_and_only_approved_rows_count(index, tmp_path, seeds_index, rag_qa_main):
    table, gold = tmp_path / "table.csv", tmp_path / "gold.jsonl"
    code, shown, _ = rag_qa_main("eval", "draft", "--index", seeds_index, "--csv", table, "--count", 5)
    assert code == 0
    assert "5 passages in" in shown
    passages = [each.passage.text for each in propose(index, 5)]
    fill_in(
        table,
        [
            {"question": "First?", "quote": passages[0][:40], "approved": "yes"},
            {"question": "Second?", "quote": passages[1][:40]},
            {"question": "First?", "quote": passages[2][:40], "approved": "Yes"},
            {"question": "Nowhere?", "quote": "-", "approved": "x"},
        ],
    )
    code, shown, _ = rag_qa_main("eval", "draft", "--index", seeds_index, "--from-csv", table, "--gold", gold)
    assert code == 0
    assert "2 questions added" in shown
    assert "1 rows have no question, 1 are not approved" in shown
    first, second = load_gold(gold)
    assert len(first.evidence) == 2
    assert (second.question, second.answerable) == ("Nowhere?", False)
    code, shown, _ = rag_qa_main("eval", "draft", "--index", seeds_index, "--from-csv", table, "--gold", gold)
    assert "0 questions added" in shown  # the second time
    assert "2 were there already" in shown
    assert len(load_gold(gold)) == 2
    before = table.read_bytes()
    code, _, told = rag_qa_main("eval", "draft", "--index", seeds_index, "--csv", table)
    assert (code, table.read_bytes()) == (2, before)  # what was filled in is not lost
    assert "is there already" in told


@pytest.mark.parametrize(
    ("filled", "message"),
    [
        ({"quote": "unicorns"}, "does not stand in"),
        ({"quote": " "}, "It has no quote"),
        ({"quote": "…"}, "needs a letter or a digit"),
        ({"document": "none.txt", "quote": "x"}, "is not in the index"),
        ({"start": "here", "quote": "x"}, "Start and end are not the numbers"),
        ({"question": "why? " * 500}, "has 2499 characters"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_nothing_is_added(index, tmp_path, filled, message):
    table, gold = tmp_path / "table.csv", tmp_path / "gold.jsonl"
    write_proposals(propose(index, 2), table)
    good = {"question": "Good?", "quote": "-", "approved": "yes"}
    fill_in(table, [good, {"question": "Bad?", "approved": "yes"} | filled])
    with pytest.raises(GoldError, match=rf"row that ends in line \d+ of .*{message}"):
        enter(table, gold, index)
    assert not gold.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"question,quote\n", "has no column “approved”"), (b"\xff\xfe", "no table"), (None, "cannot be read")],
)
def test_files_that_are_no_table(index, tmp_path, content, message):
    if content is not None:
        (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(GoldError, match=message):
        enter(tmp_path / "table.csv", tmp_path / "gold.jsonl", index)


def test_no_spreadsheet_takes_a_passage_for_a_formula(index, tmp_path):
    import msgspec

    (proposal,) = propose(index, 1)
    risky = msgspec.structs.replace(
        proposal, document="=a.txt", passage=msgspec.structs.replace(proposal.passage, text="=1+1")
    )
    table = tmp_path / "table.csv"
    write_proposals([risky], table)
    assert "'=a.txt," in table.read_text()
    assert ",'=1+1," in table.read_text()
    fill_in(table, [{"question": "Who?", "quote": "x", "approved": "yes"}])
    with pytest.raises(GoldError, match=r"“=a\.txt” is not in the index"):  # it is read as what it was
        enter(table, tmp_path / "gold.jsonl", index)


def test_files_of_other_programs_are_left_alone(index, tmp_path):
    (tmp_path / ".gold.jsonl.swp").write_text("of an editor")
    (tmp_path / ".gold.jsonl.4711").write_text("of a run that was killed")
    add_questions(tmp_path / "gold.jsonl", [Draft("Who?", [])], index)
    assert {path.name for path in tmp_path.iterdir()} == {"gold.jsonl", ".gold.jsonl.swp"}


def test_gold_that_cannot_be_read_is_left_as_it_is(index, tmp_path):
    gold = tmp_path / "gold.jsonl"
    gold.write_bytes(b"\xff")
    with pytest.raises(GoldError, match=r"it is not UTF-8"):
        add_questions(gold, [Draft("Who?", [])], index)
    assert gold.read_bytes() == b"\xff"


def draft(rag_qa_main, seeds_index, gold, typed):
    code, shown, told = rag_qa_main("eval", "draft", "--index", seeds_index, "--gold", gold, typed=typed)
    assert code == 0
    lines = gold.read_text().splitlines() if gold.exists() else []
    return shown, told, [json.loads(line) for line in lines]


def test_asking_on_the_terminal(seeds_index, tmp_path, index, rag_qa_main):
    quote = propose(index, 1)[0].passage.text[:28]
    # A question with a quote, given wrongly first and then twice; a passage passed over; nothing answers; a mistake and
    # then nothing, which keeps nothing; the end.
    typed = f"???\nWho?\nunicorns\n{quote}\n{quote}\n\n\nWhat is the weather?\n-\nWhat?\nunicorns\n\n"
    shown, told, found = draft(rag_qa_main, seeds_index, tmp_path / "gold.jsonl", typed)
    assert "no letter and no digit" in told
    assert "does not stand in" in told
    assert "2 questions added" in shown
    assert [item["quote"] for item in found[0]["evidence"]] == [quote]
    assert found[1] == {"id": "q2", "question": "What is the weather?", "answerable": False}


def test_what_was_said_when_the_input_ends_is_kept(seeds_index, tmp_path, index, rag_qa_main):
    quote = propose(index, 1)[0].passage.text[:29]
    shown, _, found = draft(rag_qa_main, seeds_index, tmp_path / "gold.jsonl", f"Who?\n{quote}\n")
    assert "1 questions added" in shown
    assert found[0]["answerable"]
    _, told, found = draft(rag_qa_main, seeds_index, tmp_path / "gold.jsonl", "Who?\nWhat?\n-\n")
    assert "That is gold already" in told
    assert [each["question"] for each in found] == ["Who?", "What?"]
    _, _, found = draft(rag_qa_main, seeds_index, tmp_path / "other.jsonl", "Who?\n")
    assert found == []  # nothing was said of what answers


def test_a_table_from_a_spreadsheet(index, tmp_path):
    table, gold = tmp_path / "table.csv", tmp_path / "gold.jsonl"
    write_proposals(propose(index, 1), table)
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    (row,) = fill_in(table, [{"question": "Who?", "quote": propose(index, 1)[0].passage.text[:20], "approved": "YES "}])
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(name.title() + " " for name in row)
        writer.writerow([f" {row['document']} ", *list(row.values())[1:]])
    assert len(enter(table, gold, index).added) == 1


def test_gold_keeps_its_line_ends_rights_and_place(index, tmp_path):
    real, link = tmp_path / "real.jsonl", tmp_path / "gold.jsonl"
    real.write_bytes(b'{"id": "a", "question": "who?", "answerable": false}\r\n')
    real.chmod(0o600)
    link.symlink_to(real)
    add_questions(link, [Draft("Why?", [])], index)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert real.read_bytes().startswith(b'{"id": "a", "question": "who?", "answerable": false}\r\n{"id":"q2"')


def test_drafting_where_nothing_can_be_written(seeds_index, rag_qa_main, tmp_path):
    code, _, told = rag_qa_main("eval", "draft", "--index", seeds_index, "--gold", tmp_path / "none" / "gold.jsonl")
    assert code == 2
    assert "There is no folder" in told
    code, _, told = rag_qa_main("eval", "draft", "--index", seeds_index, "--gold", tmp_path)
    assert code == 2
    assert "cannot be written" in told


def test_a_question_is_answered_or_not(index, tmp_path):
    table = tmp_path / "table.csv"
    write_proposals(propose(index, 2), table)
    same = {"question": "Both?", "approved": "yes"}
    fill_in(table, [same | {"quote": propose(index, 1)[0].passage.text[:20]}, same | {"quote": "-"}])
    with pytest.raises(GoldError, match="has a quote in one row"):
        enter(table, tmp_path / "gold.jsonl", index)


def test_a_sample_of_a_large_collection_is_looked_at(index, monkeypatch):
    monkeypatch.setattr("rag_qa.evaluation.gold.draft.CONSIDERED", 5)
    found = propose(index, 100)
    assert len({(each.document, each.passage.start) for each in found}) == 5
    everything = {(info.path, passage.text) for info, passage in index.passages(range(16))}
    assert {(each.document, each.passage.text) for each in found} < everything


def test_check_on_the_command_line(root, seeds_index, tmp_path, rag_qa_main):
    code, shown, _ = rag_qa_main("eval", "check", root / "eval" / "gold.jsonl", "--index", seeds_index)
    assert (code, shown) == (0, "68 questions.\n")
    bad = tmp_path / "gold.jsonl"
    bad.write_text((root / "eval" / "gold.jsonl").read_text().replace("50 pages of", "60 pages of"))
    code, shown, _ = rag_qa_main("eval", "check", bad, "--index", seeds_index)
    assert code == 1
    assert "line    4" in shown
    assert "nearest: “accompanied by 50 pages of evidence”" in shown
    code, told, _ = rag_qa_main("eval", "check", bad, "--index", seeds_index, "--json")
    assert json.loads(told)["problems"][0]["question"] == "q04"
    code, _, told = rag_qa_main("eval", "check", tmp_path / "none.jsonl", "--index", seeds_index)
    assert code == 2
    assert "cannot be read" in told
