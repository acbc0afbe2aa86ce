import json

import msgspec
import numpy as np
import pytest
from support.calibrations import made
from support.indexes import build

from rag_qa import Engine
from rag_qa.answering.confidence import (
    CALIBRATION,
    bound_settings,
    load_calibration,
)
from rag_qa.errors import GoldError
from rag_qa.evaluation.compare.calibration import _rows_of, calibrate, examples
from rag_qa.evaluation.gold.gold_file import Evidence, GoldQuestion, load_gold, locate
from rag_qa.index.records import SearchOptions
from rag_qa.retrieval.query import read_query
from rag_qa.retrieval.retriever import retrieve
from rag_qa.settings import Settings


def silent(*_):
    pass


def test_what_ships_belongs_to_the_defaults(engine):
    calibration, problem = load_calibration(None, engine.info.encoder.model, Settings())
    assert problem is None
    assert calibration.questions > 500
    assert engine.calibration_problem is None
    assert 0 < engine.ask("what did HMICFRS recommend?").confidence < 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"encoder": "other"}, "another encoder"),
        ({"settings": bound_settings(Settings(depth=7))}, "depth 7 instead of 100"),
    ],
)
def test_a_calibration_for_something_else_is_ignored_with_a_sentence(index_copy, change, told):
    with Engine.open(index_copy) as engine:
        fitting = made(encoder=engine.info.encoder.model)
    (index_copy / CALIBRATION).write_bytes(msgspec.json.encode(msgspec.structs.replace(fitting, **change)))
    with Engine.open(index_copy) as engine:
        answer = engine.ask("what did HMICFRS recommend?")
        assert (answer.answered, answer.confidence) == (True, None)
        assert told in engine.calibration_problem
        assert engine.calibration_problem.endswith("make one with `rag-qa eval --gold FILE --calibrate`.")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        msgspec.json.encode(made()).replace(b'"threshold":0.5', b'"threshold":5'),
        b'{"settings": ' + b'{"a":' * 3000 + b"1" + b"}" * 3001,
        msgspec.json.encode(made(coefficients={"score": 1.0})),
    ],
)
def test_a_damaged_calibration_is_ignored_with_a_sentence(index_copy, rag_qa_main, data):
    (index_copy / CALIBRATION).write_bytes(data)
    code, out, err = rag_qa_main("ask", "what did HMICFRS recommend?", "--index", index_copy, "--json")
    assert (code, json.loads(out)["confidence"]) == (0, None)
    assert err.count("\n") == 1
    assert f"The calibration {index_copy / CALIBRATION} cannot be read, so that there is no confidence" in err


def test_a_folder_in_the_place_of_a_calibration(index_copy):
    (index_copy / CALIBRATION).mkdir()
    with Engine.open(index_copy) as engine:
        assert "cannot be read" in engine.calibration_problem


def test_other_settings_than_those_it_ships_for(engine):
    other = engine.with_settings(dense_weight=0.9)
    assert other.ask("what did HMICFRS recommend?").confidence is None
    assert "dense_weight 0.55 instead of 0.9" in other.calibration_problem


def test_confidence_does_not_depend_on_how_many_passages_are_asked_for(engine):
    assert len({engine.ask("Who brought the super-complaint?", k=k).confidence for k in (1, 5, 100)}) == 1
    whole = engine.ask("Who brought the super-complaint?")
    small = engine.ask("Who brought the super-complaint?", max_tokens=whole.passages[0].tokens - 1)
    assert small.passages[0].rank > 1
    assert (small.confidence, small.answered) == (whole.confidence, whole.answered)


def test_nothing_found_is_no_answer(engine):
    from rag_qa.filters import Filters

    answer = engine.ask("Who brought the super-complaint?", filters=Filters(document="nothing/"))
    assert (answer.answered, answer.confidence, answer.passages) == (False, 0.0, [])


def test_a_question_about_something_else_is_not_answered(rag_qa_main, seeds_index):
    code, out, _ = rag_qa_main("ask", "What is the boiling point of tungsten?", "--index", seeds_index)
    assert code == 1
    assert out.startswith("Nothing in this collection answers this (confidence 0.")


def test_hidden_evidence_is_not_found(engine, root):
    questions = load_gold(root / "eval" / "gold.jsonl")[:6]
    found = examples(questions, engine, silent)
    hidden = examples(questions, engine, silent, hide=True)
    assert [each.question for each in hidden] == [each.question for each in found] == [each.id for each in questions]
    assert all(each.right for each in found)
    assert not any(each.right or each.answerable for each in hidden)
    assert all(one.features.score < other.features.score for one, other in zip(hidden, found, strict=True))


def test_what_lies_beside_hidden_evidence_and_its_copies_are_hidden_too(tmp_path, with_encoder):
    quote = "The Northgate harbour fee was raised to 12 crowns in May 2021."
    filler = " ".join(f"The {name} ferry sails at noon on every day." for name in ("old", "new", "red", "blue"))
    texts = {"a.txt": f"{filler}\n\n{quote}\n\n{filler}", "b.txt": f"{filler}\n\n{quote}", "c.txt": "Kiel is a town."}
    (tmp_path / "papers").mkdir()
    for name, text in texts.items():
        (tmp_path / "papers" / name).write_text(text)
    index = with_encoder()
    build([tmp_path / "papers"], index, Settings(passage_tokens=24))
    gold = GoldQuestion(
        "q", "What is the Northgate harbour fee?", answerable=True, evidence=(Evidence("a.txt", quote),)
    )
    with Engine.open(index) as engine:
        query = read_query(gold.question, engine.searcher)
        results = retrieve(query, None, 20, engine.searcher)
        (evidence,) = locate([gold], engine)["q"]
        hidden = _rows_of([evidence], results, engine)
        left = retrieve(query, None, 20, engine.searcher, hidden).fused
        (variant,) = query.variants
        options = SearchOptions(depth=20, without=tuple(hidden))
        found = engine.index.search(query.vectors, [variant.terms], [variant.shares], options)
        rows = [each.hit.row for each in left]
        near = found.coverage[0, 1, np.isin(found.rows, rows)]
        assert len(near) == len(rows)
    assert any("Northgate" in each.passage.text for each in results.fused)
    assert left
    assert not any("Northgate" in each.passage.text for each in left)
    assert not near.any()


def test_calibrating_and_asking_with_it(index_copy, root, rag_qa_main):
    gold = root / "eval" / "gold.jsonl"
    code, out, err = rag_qa_main("eval", "--calibrate", "--gold", gold, "--index", index_copy)
    assert (code, err) == (0, "")
    assert "Fitted on 68 questions; answered from 0." in out
    assert f"Kept as {index_copy / CALIBRATION}" in out
    with Engine.open(index_copy) as engine:
        calibration, problem = load_calibration(index_copy, engine.info.encoder.model, engine.settings)
        assert problem is None
        shipped, _ = load_calibration(None, engine.info.encoder.model, engine.settings)
        assert shipped is not None
        assert calibration == calibrate(str(gold), load_gold(gold), engine, shipped, silent).calibration
        answer = engine.ask("Who brought the super-complaint?")
        assert answer.answered == (answer.confidence >= calibration.threshold)
        _, shown, _ = rag_qa_main("ask", "Who brought the super-complaint?", "--index", index_copy)
        assert f"(confidence {answer.confidence:.2f})" in shown


def test_without_unanswerable_questions_evidence_is_hidden(engine, root):
    questions = [each for each in load_gold(root / "eval" / "gold.jsonl") if each.answerable]
    known, _ = load_calibration(None, engine.info.encoder.model, engine.settings)
    found = calibrate("gold", questions[:20], engine, known, silent)
    assert found.answered >= 0.9
    assert found.abstention.metrics["auroc"].value > 0.6
    assert (found.hidden, found.calibration.questions, found.recognised is not None) == (True, 40, True)


def test_what_judges_documents_cannot_be_calibrated(rag_qa_main, tmp_path, seeds_index):
    (tmp_path / "corpus.jsonl").write_text("{}")
    code, _, err = rag_qa_main("eval", "--calibrate", "--beir", tmp_path)
    assert (code, "judges whole documents: calibrating needs quotes as evidence" in err) == (2, True)
    code, _, err = rag_qa_main("eval", "--calibrate", "--beir", tmp_path, "--index", seeds_index)
    assert (code, "A collection has an index of its own" in err) == (2, True)


def test_too_few_questions(engine, root):
    questions = load_gold(root / "eval" / "gold.jsonl")[:3]
    with pytest.raises(
        GoldError, match="3 questions are answered rightly and 3 are not: calibrating needs 5 of either"
    ):
        calibrate("gold", questions, engine, None, silent)


@pytest.mark.parametrize("option", ["--gate", "--ablate", "--verbose", "--html=x.html", "--trec=x", "--compare=x.json"])
def test_what_does_not_go_with_calibrating(rag_qa_main, index_copy, option):
    code, _, err = rag_qa_main("eval", "--calibrate", option, "--index", index_copy)
    assert code == 2
    assert f"--calibrate and {option.partition('=')[0]} do not go together" in err
