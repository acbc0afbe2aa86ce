"""Checks retrieval against questions with known answers.

gold.py         gold questions and where their evidence stands
beir.py         public collections in BEIR form
measures.py     (question, measure, value), then aggregates with intervals
run.py          questions through the engine
report.py       tables for the terminal
"""
