"""Comparing with a base, and the gate."""

import json

import msgspec
import pytest
from msgspec import structs

from rag_qa.errors import GoldError
from rag_qa.evaluation.compare.comparison import base_of, compare, load_reports
from rag_qa.evaluation.compare.gate import Gate, write_baseline
from rag_qa.evaluation.report.aggregates import make_report


@pytest.fixture(scope="session")
def dense_report(subject):
    """The seeds without lexical search."""
    engine = subject.engine.with_settings(dense_weight=1.0)
    evaluation = structs.replace(subject, engine=engine).evaluate(lambda *_: None)
    return make_report("gold", engine, evaluation)


def changed(report, measure, value, ids):
    """The report with another value of a measure at some questions."""
    questions = [
        structs.replace(each, measures=each.measures | {measure: value}) if each.id in ids else each
        for each in report.questions
    ]
    return structs.replace(report, questions=questions)


def test_a_run_against_itself_is_equal(report):
    found = compare(report, report)
    assert {each.verdict for each in found.measures.values()} == {"equal"}
    assert found.changed == []
    assert found.settings == {}


def test_differences_by_question(report, dense_report):
    found = compare(dense_report, report)
    ndcg = found.measures["ndcg@10"]
    assert ndcg.base < ndcg.value
    assert ndcg.difference.wins > ndcg.difference.losses
    assert ndcg.difference.wins + ndcg.difference.losses + ndcg.difference.ties == found.questions == 53
    assert found.settings == {"dense_weight": (1.0, 0.55)}
    differences = [abs(change.difference) for change in found.changed]
    assert differences == sorted(differences, reverse=True)
    assert len(differences) == 10


def test_verdicts(report):
    answerable = [each.id for each in report.questions if each.answerable]
    worse = compare(report, changed(report, "hit@5", 0.0, answerable[:20])).measures["hit@5"]
    assert (worse.verdict, worse.difference.losses) == ("worse", 20)
    unclear = compare(report, changed(report, "hit@5", 0.0, answerable[:2])).measures["hit@5"]
    assert unclear.verdict == "unclear"
    marked = compare(report, changed(report, "marked_share", 0.0, answerable)).measures["marked_share"]
    assert marked.verdict == "better"  # less is better


def test_questions_that_are_not_the_same_are_left_out(report):
    first, second, *others = [each for each in report.questions if each.answerable]
    other_words = structs.replace(first, question="something else?")
    found = compare(report, structs.replace(report, questions=[other_words, second, *others[1:]]))
    assert found.questions == 51
    assert found.missing == [first.id, others[0].id]
    assert found.added == []
    assert compare(structs.replace(report, questions=[second, *others]), report).added == [first.id]
    with pytest.raises(GoldError, match="none of these questions"):
        compare(report, structs.replace(report, questions=[other_words]))


def test_a_base_from_other_documents(report):
    with pytest.raises(GoldError, match="from other documents"):
        compare(structs.replace(report, documents="0123456789abcdef"), report)


def test_the_base_of_a_collection(report):
    other = structs.replace(report, collection="other")
    assert base_of(report, [other]) is other
    assert base_of(report, [other, report]) is report
    with pytest.raises(GoldError, match="no report of gold, only of other, other"):
        base_of(report, [other, other])


def test_reports_are_read_as_they_were_written(tmp_path, report):
    path = tmp_path / "base.json"
    path.write_bytes(msgspec.json.encode(report))
    assert load_reports(path) == [report]
    path.write_bytes(msgspec.json.encode({"collections": [report, report]}))
    assert load_reports(path) == [report, report]


@pytest.fixture
def gate_folder(tmp_path, report):
    write_baseline(report, tmp_path)
    (tmp_path / "thresholds.toml").write_text(
        'no_loss = ["hit@5", "ndcg@10"]\n[at_least]\n"hit@3" = 0.95\n[at_most]\nmarked_share = 0.4\n'
    )
    return tmp_path


def test_the_gate_passes_what_is_as_good(gate_folder, report):
    gate = Gate.load(gate_folder).check(report)
    assert gate.passed
    assert [sentence.split()[0] for sentence in gate.checked] == ["hit@3", "marked_share", "hit@5", "ndcg@10"]


def test_the_gate_fails_on_a_missed_threshold(gate_folder, report):
    low = structs.replace(report, metrics=report.metrics | {"hit@3": report.metrics["hit@1"]})
    assert Gate.load(gate_folder).check(low).failed == ["hit@3 is 0.7170, and must be at least 0.95"]
    much = structs.replace(report, metrics=report.metrics | {"marked_share": report.metrics["hit@1"]})
    assert Gate.load(gate_folder).check(much).failed == ["marked_share is 0.7170, and must be at most 0.4"]


def test_the_gate_fails_on_a_significant_loss_and_not_on_noise(gate_folder, report):
    answerable = [each.id for each in report.questions if each.answerable]
    (failed,) = Gate.load(gate_folder).check(changed(report, "hit@5", 0.0, answerable[:12])).failed
    assert failed.startswith("hit@5 is")
    assert "worse" in failed
    assert Gate.load(gate_folder).check(changed(report, "hit@5", 0.0, answerable[:2])).passed


def test_without_thresholds_nothing_may_lose(gate_folder, report):
    (gate_folder / "thresholds.toml").unlink()
    gate = Gate.load(gate_folder).check(report)
    assert gate.passed
    assert len(gate.checked) > 20
    (gate_folder / "thresholds.toml").write_text("\ufeffno_loss = []\n", "utf-8")
    assert Gate.load(gate_folder).check(report).checked == []


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ("[at_least]\nfame = 1\n", "names “fame”, which this run has not"),
        ('no_loss = ["fame"]\n', "“fame” is no measure of single questions that both runs have"),
        ('no_loss = ["auroc"]\n', "“auroc” is no measure of single questions that both runs have"),
        ("[at_least\n", "cannot be used"),
        ("[atleast]\n", "cannot be used"),
        ('[at_least]\n"hit@3" = "high"\n', "cannot be used"),
    ],
)
def test_thresholds_that_cannot_be_used(gate_folder, report, thresholds, message):
    (gate_folder / "thresholds.toml").write_text(thresholds)
    with pytest.raises(GoldError, match=message):
        Gate.load(gate_folder).check(report)


def test_a_gate_needs_something_to_check(tmp_path, report):
    with pytest.raises(GoldError, match="has neither"):
        Gate.load(tmp_path)
    (tmp_path / "thresholds.toml").write_text('no_loss = ["hit@3"]\n')
    with pytest.raises(GoldError, match=r"baseline.json is missing"):
        Gate.load(tmp_path)


def test_the_gate_fails_where_questions_of_the_baseline_are_gone(gate_folder, report):
    """Else a question that lost could be kept out of sight by other words."""
    first, second, *others = report.questions
    reworded = structs.replace(first, question="something else?")
    gate = Gate.load(gate_folder)
    (failed,) = gate.check(structs.replace(report, questions=[reworded, *others])).failed
    assert failed == f"in the baseline, and not the same in this run: {first.id}, {second.id}"
    new = structs.replace(first, id="new")
    passed = gate.check(structs.replace(report, questions=[new, *report.questions]))
    assert passed.passed
    assert passed.checked[-1] == "not in the baseline, and not compared: new"


def test_a_baseline_from_other_documents(gate_folder, report):
    with pytest.raises(GoldError, match=r"baseline.json cannot be compared with .* from other documents"):
        Gate.load(gate_folder).check(structs.replace(report, documents="0123456789abcdef"))


def test_a_baseline_that_is_none(gate_folder, report):
    baseline = gate_folder / "baseline.json"
    baseline.write_bytes(b"\xef\xbb\xbf" + baseline.read_bytes())
    assert Gate.load(gate_folder).check(report).passed
    baseline.write_text("{}")
    with pytest.raises(GoldError, match="--write-baseline"):
        Gate.load(gate_folder)


def test_a_baseline_holds_no_texts_and_no_times(gate_folder):
    baseline = json.loads((gate_folder / "baseline.json").read_text())
    assert {item["text"] for question in baseline["questions"] for item in question["retrieved"]} == {""}
    assert {question["latency_ms"] for question in baseline["questions"]} == {0.0}
    assert "latency_p50" not in baseline["metrics"]


def test_a_baseline_is_kept_and_passed_on_the_command_line(seeds_index, few_gold, rag_qa_main, tmp_path):
    given = ["eval", "--index", seeds_index, "--gold", few_gold]
    code, _, told = rag_qa_main(*given, "--gate")
    assert (code, "has neither thresholds.toml nor baseline.json" in told) == (2, True)
    code, _, told = rag_qa_main(*given, "--write-baseline")
    assert code == 0
    assert f"Kept as {tmp_path / 'baseline.json'}." in told
    assert rag_qa_main(*given, "--gate")[0] == 0
    (tmp_path / "thresholds.toml").write_text("[at_least]\nmrr = 0.99\n")
    before = (tmp_path / "baseline.json").read_bytes()
    code, _, told = rag_qa_main(*given, "--gate", "--write-baseline")
    assert code == 1
    assert "The baseline stays as it was" in told
    assert (tmp_path / "baseline.json").read_bytes() == before


def test_the_gate_of_the_seeds_passes_and_fails_without_lexical_search(root, seeds_index, rag_qa_main, monkeypatch):
    """What CI runs."""
    monkeypatch.chdir(root)
    code, shown, _ = rag_qa_main("eval", "--index", seeds_index, "--gate")
    assert (code, shown.splitlines()[-1]) == (0, "The gate is passed.")
    code, shown, _ = rag_qa_main("eval", "--index", seeds_index, "--gate", "--set", "dense_weight=1")
    assert (code, shown.splitlines()[-1]) == (1, "The gate is not passed.")


def test_compare_on_the_command_line(root, seeds_index, rag_qa_main, monkeypatch, tmp_path, dense_report):
    monkeypatch.chdir(root)
    (tmp_path / "base.json").write_bytes(msgspec.json.encode(dense_report))
    given = ["eval", "--index", seeds_index, "--compare", tmp_path / "base.json"]
    code, shown, _ = rag_qa_main(*given)
    assert code == 0
    assert "dense_weight: 1.0 in the base, 0.55 now" in shown
    assert "base" in shown
    told = json.loads(rag_qa_main(*given, "--json")[1])
    assert told["comparison"]["measures"]["mrr"]["difference"]["wins"] > 0
    assert "gate" not in told
