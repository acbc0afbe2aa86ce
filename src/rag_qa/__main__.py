"""`python -m rag_qa` is the command line."""

from rag_qa.cli import main

main()
