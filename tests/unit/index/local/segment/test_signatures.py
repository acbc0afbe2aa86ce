"""Signatures on the disk."""

import numpy as np
import pytest

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.segment.signatures import SignatureWriter, open_signatures
from rag_qa.text.duplicates import signature

TEXTS = ["The harbour opens in March.", "", "Ships pay a fee of ten crowns.", "The harbour opens in March."]


@pytest.fixture
def folder(tmp_path):
    writer = SignatureWriter(tmp_path)
    for text in TEXTS:
        writer.add(text)
    writer.seal()
    return tmp_path


def test_each_row_is_the_signature_of_its_text(folder):
    found = open_signatures(folder, len(TEXTS))
    assert (found.shape, found.dtype) == ((4, 64), np.uint32)
    assert np.array_equal(found, [signature(text) for text in TEXTS])
    assert (folder / "signatures.u32").stat().st_size == 4 * 64 * 4


@pytest.mark.parametrize("passages", [3, 5])
def test_signatures_of_more_or_fewer_passages_are_damaged(folder, passages):
    with pytest.raises(IndexDamagedError, match=f"does not belong to the {passages} passages of its segment"):
        open_signatures(folder, passages)


def test_a_missing_file_or_one_of_half_numbers_cannot_be_read(folder, tmp_path):
    whole = (folder / "signatures.u32").read_bytes()
    for data in (b"", whole[:-1]):
        (folder / "signatures.u32").write_bytes(data)
        with pytest.raises(IndexDamagedError, match=r"signatures\.u32 cannot be read"):
            open_signatures(folder, len(TEXTS))
    (folder / "signatures.u32").unlink()
    with pytest.raises(IndexDamagedError, match=r"signatures\.u32 cannot be read"):
        open_signatures(folder, len(TEXTS))


def test_an_abandoned_file_may_be_closed_twice(tmp_path):
    writer = SignatureWriter(tmp_path)
    writer.discard()
    writer.discard()
