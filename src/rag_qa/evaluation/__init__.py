"""Checks retrieval against questions with known answers, with statistics.

gold.py, drafting.py       gold questions: reading, checking and making them
beir.py, subjects.py       public collections, and what is evaluated
run.py, judging.py         questions through the engine, answers against their evidence
measures.py, spans.py      (question, measure, value): of ranks, and of the text that was returned
abstention.py              confidence against whether the passages answered
statistics.py              intervals and tests
results.py, report.py      the records, and values to aggregates
comparison.py, gate.py     against another run, against thresholds and a baseline
ablation.py                what each stage is worth
outcome.py, kept.py        all of that about one collection; the last report, kept in the index
tables.py                  for the terminal
page.py, charts.py         for a browser
trec.py                    for other tools
"""
