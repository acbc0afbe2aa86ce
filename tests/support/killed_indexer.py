"""`python killed_indexer.py FOLDER INDEX`: indexes with vectors that need no model, for tests that kill it."""

import sys

from structures import HashEncoder  # beside this file, which is run by itself

from rag_qa import build
from rag_qa.settings import Settings

build([sys.argv[1]], sys.argv[2], Settings(segment_passages=40, graph_passages=40), encoder=HashEncoder.make())
