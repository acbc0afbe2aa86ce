"""Runs: asks the questions, and judges the answers by measures."""
