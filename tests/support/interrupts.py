"""Commands that a test can interrupt."""

# Tests that a shell runs in its background have SIGINT switched off, and so would the command.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from rag_qa.cli.commands import main
main()
"""
