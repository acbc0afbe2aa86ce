"""Feeds, of which each record is a document."""

import json

from support.parsing import read, read_all


def test_each_record_of_a_feed_is_a_document(tmp_path):
    lines = [
        '{"title": "Fees", "text": "Ships pay ten crowns.", "published": "2024-05-17", "url": "https://example.org/1"}',
        "",
        '{"headline": "Season", "body": "The harbour opens in March.", "client": "ACME", "big": 99999999999999999999}',
        "broken",
        '{"title": "nothing"}',
        '{"text": "half a pair: \\ud800"}',
    ]
    (tmp_path / "feed.jsonl").write_text("\n".join(lines))
    result = read_all(tmp_path / "feed.jsonl")
    assert [document.path for document in result.documents] == ["feed.jsonl#1", "feed.jsonl#3", "feed.jsonl#6"]
    first, second, third = result.documents
    assert (first.title, first.text, first.record, first.file) == ("Fees", "Ships pay ten crowns.", 1, "feed.jsonl")
    assert (first.metadata["date"], first.metadata["url"]) == ("2024-05-17", "https://example.org/1")
    assert second.title == "Season"
    assert second.metadata["client"] == "ACME"
    assert second.metadata["big"] == "99999999999999999999"
    assert third.text == "half a pair: \ufffd"
    assert [failed.path for failed in result.broken] == ["feed.jsonl#4", "feed.jsonl#5"]
    assert "no JSON" in result.broken[0].reason


def test_a_json_file_of_records_is_a_feed_and_another_is_text(tmp_path):
    (tmp_path / "feed.json").write_text('{"version": "1", "items": [{"title": "Fees", "content_text": "Ships pay."}]}')
    assert read(tmp_path / "feed.json").path == "feed.json#1"
    (tmp_path / "other.json").write_text('{"fee": 10, "harbours": [{"name": "North"}]}')
    other = read(tmp_path / "other.json")
    assert (other.path, other.record, other.metadata["format"]) == ("other.json", None, "json")
    assert other.text == '{"fee": 10, "harbours": [{"name": "North"}]}'


def test_only_what_is_used_loses_its_name(tmp_path):
    record = {"text": "Ships pay.", "title": "Fees", "subject": "law", "created": "20240517", "updated": "2025"}
    (tmp_path / "a.json").write_text(json.dumps({**record, "data": [1, 2]}))
    document = read(tmp_path / "a.json")
    assert (document.title, document.metadata["date"]) == ("Fees", "2024-05-17")
    kept = {name: document.metadata[name] for name in ("subject", "updated", "data")}
    assert kept == {"subject": "law", "updated": "2025", "data": [1, 2]}


def test_a_feed_that_breaks_in_full_is_no_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('broken\n{"title": "x"}\n')
    assert read_all(tmp_path / "a.jsonl").reason.startswith("none of its lines is a record with a text (the line is no")
    (tmp_path / "b.jsonl").write_text('{"text": "Ships pay."}\r{"text": "na\\u00efve"}\r')
    assert [document.record for document in read_all(tmp_path / "b.jsonl").documents] == [1, 2]
    (tmp_path / "c.json").write_text("[]")
    assert read_all(tmp_path / "c.json").reason == "no text found in it"


def test_the_fields_of_a_feed_by_setting(tmp_path):
    record = {"content": "wrong", "abschnitt": "Ships pay.", "kopf": "Fees", "tag": "17 May 2024", "ort": "https://a.b"}
    (tmp_path / "a.json").write_text(json.dumps([record]))
    names = {"feed_text": "abschnitt", "feed_title": "kopf", "feed_date": "tag", "feed_url": "ort"}
    document = read(tmp_path / "a.json", **names)
    assert (document.text, document.title, document.metadata["url"]) == ("Ships pay.", "Fees", "https://a.b")
    assert document.metadata["date_as_given"] == "17 May 2024"
    reason = read_all(tmp_path / "a.json", feed_text="nothing").reason
    assert reason == "no record has text in the field “nothing”, which feed_text names"
