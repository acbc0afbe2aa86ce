import hashlib
import inspect

import tiktoken
from tiktoken_ext import openai_public

from rag_qa.text.tokens import ENCODING, count_tokens


def test_ranks_are_those_that_cl100k_base_publishes():
    ranks = tiktoken.get_encoding(ENCODING)._mergeable_ranks
    import base64

    lines = [base64.b64encode(token) + b" %d\n" % rank for token, rank in sorted(ranks.items(), key=lambda x: x[1])]
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    assert digest in inspect.getsource(openai_public.cl100k_base)


def test_counting():
    assert count_tokens(["hello world", "", "<|endoftext|>"])[:2] == [2, 0]
    assert count_tokens(["<|endoftext|>"])[0] > 1  # ordinary text, not the special token
