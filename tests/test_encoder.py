import shutil

import pytest

from rag_qa import encoder as module
from rag_qa.encoder import SentenceEncoder
from rag_qa.errors import EncoderError, IndexDamagedError
from rag_qa.query_encoder import OnnxQueryEncoder
from rag_qa.settings import DEFAULT_ENCODER


def test_the_window_is_the_models_and_not_the_tokenizers(encoder):
    assert encoder.window == 256
    assert encoder.room == 254
    assert len(encoder.tokenizer.encode("word " * 1000).ids) == 1002


def test_altered_weights_are_refused(monkeypatch):
    package, _ = module.PACKAGED[DEFAULT_ENCODER]
    monkeypatch.setitem(module.PACKAGED, DEFAULT_ENCODER, (package, "0" * 64))
    with pytest.raises(EncoderError, match="not the published ones"):
        SentenceEncoder.find(DEFAULT_ENCODER)


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(module.PACKAGED, DEFAULT_ENCODER, ("no_such_package", "0" * 64))
    with pytest.raises(EncoderError, match="install the package no-such-package"):
        SentenceEncoder.find(DEFAULT_ENCODER)


def test_any_folder_of_a_model_will_do_and_its_files_make_the_digest(encoder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(encoder.folder, folder)
    copied = SentenceEncoder.find(str(folder))
    assert copied.digest == encoder.digest
    (folder / "README.md").write_text("changed")
    assert SentenceEncoder.find(str(folder)).digest == encoder.digest
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128}')
    shorter = SentenceEncoder.find(str(folder))
    assert shorter.digest != encoder.digest
    assert shorter.window == 128
    (folder / "config_sentence_transformers.json").write_text(
        '{"prompts": {"query": "query: ", "passage": "passage: "}}'
    )
    prompted = SentenceEncoder.find(str(folder))
    assert prompted.query_prompt == "query: "
    assert prompted.room == 128 - 4  # two special tokens and those of the prompt


def test_a_damaged_tokenizer_or_configuration(encoder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(encoder.folder, folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "sentence_bert_config.json").write_text("{")
    damaged = SentenceEncoder.find(str(folder))
    with pytest.raises(EncoderError, match="cannot be read as a tokenizer"):
        _ = damaged.tokenizer
    with pytest.raises(EncoderError, match="is not JSON"):
        _ = damaged.window


def test_what_is_no_model(tmp_path):
    with pytest.raises(EncoderError, match="no sentence-transformers model"):
        SentenceEncoder.find(str(tmp_path))
    with pytest.raises(EncoderError, match="could not be had from the model hub"):
        SentenceEncoder.find("nobody/no-such-model")


def test_a_truncated_export_is_found(index_copy, encoder):
    folder = index_copy / "encoder" / encoder.digest
    model = folder / "model.onnx"
    whole = model.stat().st_size
    assert OnnxQueryEncoder.damage(folder) == []
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(IndexDamagedError, match="missing or truncated"):
        OnnxQueryEncoder.open(folder)
    model.write_bytes(bytes(whole))
    with pytest.raises(IndexDamagedError, match="cannot be loaded"):
        OnnxQueryEncoder.open(folder)
    assert OnnxQueryEncoder.damage(folder) == ["model.onnx"]
    (folder / "encoder.json").unlink()
    with pytest.raises(IndexDamagedError, match="missing or damaged"):
        OnnxQueryEncoder.open(folder)


def test_every_flipped_byte_of_the_exports_description_is_found(index_copy, encoder):
    folder = index_copy / "encoder" / encoder.digest
    config = folder / "encoder.json"
    data = config.read_bytes()
    for place in range(len(data)):
        config.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert OnnxQueryEncoder.damage(folder) == ["encoder.json"]
