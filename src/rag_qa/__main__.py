"""`python -m rag_qa` is the command line."""

from rag_qa.cli.commands import main

main()
