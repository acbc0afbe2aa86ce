"""Entry point of `python -m rag_qa`: the command line."""

from rag_qa.cli.commands import main

main()
