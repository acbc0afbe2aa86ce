"""The HTML page and the files for other tools."""

import re
from html.parser import HTMLParser

import pytest
import pytrec_eval
from msgspec import structs

from rag_qa.evaluation.compare.comparison import compare
from rag_qa.evaluation.compare.gate import Verdict
from rag_qa.evaluation.report.outcome import Outcome
from rag_qa.evaluation.report.page import write_page
from rag_qa.evaluation.report.trec import write_trec
from rag_qa.evaluation.results import Retrieved, Span

VOID = {"meta", "br", "path", "use", "link"}


class Checker(HTMLParser):
    """Collects elements and checks that they are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page([Outcome(report, gate=Verdict(["hit@3 holds"], ["mrr fails"]))], path)
    return path.read_text()


def test_the_page_is_whole_and_needs_nothing_else(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "script" not in checker.seen
    assert checker.seen.count("svg") == 3
    linked = {value for name, value in checker.attributes if name in {"href", "src", "xlink:href"}}
    assert all(value.startswith("#") for value in linked)
    assert "url(http" not in page
    assert "@import" not in page


def test_the_charts_take_their_colours_from_the_page(page):
    for chart in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert "var(--ink)" in chart
        assert not re.search(r"(fill|stroke): #(?!none)", chart)
    assert "prefers-color-scheme: dark" in page


def test_the_page_shows_questions_with_evidence_and_marks(page, report):
    assert page.count("<details>") == len(report.questions)
    assert "Pragna Patel, director of Southall Black Sisters</mark>" in page
    assert re.search(r'<mark class="evidence marked">', page)
    assert "evidence: 004_cd7c5bba8cc9e53d.txt, " in page
    assert re.search(r'<span class="marked">', page)
    assert "not answerable" in page
    assert "mrr fails" in page
    assert report.snapshot in page


def test_a_page_of_several_collections_with_a_comparison(report, tmp_path):
    lost = [structs.replace(each, measures=dict.fromkeys(each.measures, 0.0)) for each in report.questions[:20]]
    other = structs.replace(report, collection="other", snapshot="before", questions=[*lost, *report.questions[20:]])
    write_page([Outcome(report, compare(other, report)), Outcome(other)], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert '<a href="#c2">other</a>' in page
    assert "Against the base, snapshot before" in page
    assert '<td class="text better">better</td>' in page
    assert page.count('<p class="soft">base</p>') == 10
    assert "nothing relevant among the first 100" in page


def test_texts_cannot_become_elements(report, tmp_path):
    text = "<script>alert(1)</script> & more \x1b[31m"
    item = Retrieved(
        rank=1, document="<b>.txt", start=0, end=len(text), score=1.0, relevant=True, text=text, highlights=[(0, 8)]
    )
    first = next(question for question in report.questions if question.answerable)
    question = structs.replace(
        first, question="<img src=x>", evidence=[Span("<b>.txt", 3, 12, text[3:12])], retrieved=[item]
    )
    write_page([Outcome(structs.replace(report, collection="<i>", questions=[question]))], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script>" not in page
    assert "<img" not in page
    assert "<b>.txt" not in page
    assert "\x1b" not in page
    joined = re.sub(r"</?(mark|span)[^>]*>", "", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in joined


def read(path, columns):
    rows: dict = {}
    for line in path.read_text().splitlines():
        fields = line.split(" ")
        question, _, item = fields[:3]
        rows.setdefault(question, {})[item] = columns(fields)
    return rows


def test_trec_eval_computes_the_same_from_the_files(evaluation, report, tmp_path):
    run, qrels = write_trec("eval/gold.jsonl", evaluation, tmp_path)
    assert (run.name, qrels.name) == ("eval_gold.run", "eval_gold.qrels")
    judged = read(qrels, lambda fields: int(fields[3]))
    found = read(run, lambda fields: float(fields[4]))
    evaluator = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10", "recall.100"})
    values = evaluator.evaluate(found).values()
    for ours, theirs in {"ndcg@10": "ndcg_cut_10", "recall@100": "recall_100"}.items():
        mean = sum(value[theirs] for value in values) / len(judged)
        assert mean == pytest.approx(report.metrics[ours].value, abs=1e-6)
