import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rag_qa import Engine, build
from rag_qa.errors import EncoderError, IndexDamagedError, SettingsError
from rag_qa.indexer import build as indexing
from rag_qa.models import export as exporting
from rag_qa.models import hardware
from rag_qa.models import sentence_transformer as module
from rag_qa.models.export import ExportedEncoder, ensure_export
from rag_qa.models.onnx_encoder import OnnxEncoder, batches_by_length
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER, Settings, load_settings


def test_the_window_is_the_models_and_not_the_tokenizers(encoder):
    assert encoder.window == 256
    assert encoder.room == 254
    assert len(encoder.tokenizer.encode("word " * 1000).ids) == 1002


def test_altered_weights_are_refused(monkeypatch):
    package, _ = module.PACKAGED[DEFAULT_ENCODER]
    monkeypatch.setitem(module.PACKAGED, DEFAULT_ENCODER, (package, "0" * 64))
    with pytest.raises(EncoderError, match="not the published ones"):
        SentenceEncoder.from_name(DEFAULT_ENCODER)


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(module.PACKAGED, DEFAULT_ENCODER, ("no_such_package", "0" * 64))
    with pytest.raises(EncoderError, match="install the package no-such-package"):
        SentenceEncoder.from_name(DEFAULT_ENCODER)


def test_any_folder_of_a_model_will_do_and_its_files_make_the_digest(encoder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(encoder.folder, folder)
    copied = SentenceEncoder.from_name(str(folder))
    assert copied.digest == encoder.digest
    (folder / "README.md").write_text("changed")
    assert SentenceEncoder.from_name(str(folder)).digest == encoder.digest
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128}')
    shorter = SentenceEncoder.from_name(str(folder))
    assert shorter.digest != encoder.digest
    assert shorter.window == 128
    (folder / "config_sentence_transformers.json").write_text(
        '{"prompts": {"query": "query: ", "passage": "passage: "}}'
    )
    prompted = SentenceEncoder.from_name(str(folder))
    assert prompted.query_prompt == "query: "
    assert prompted.room == 128 - 4  # two special tokens and those of the prompt


def test_a_damaged_tokenizer_or_configuration(encoder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(encoder.folder, folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "sentence_bert_config.json").write_text("{")
    damaged = SentenceEncoder.from_name(str(folder))
    with pytest.raises(EncoderError, match="cannot be read as a tokenizer"):
        _ = damaged.tokenizer
    with pytest.raises(EncoderError, match="is not JSON"):
        _ = damaged.window


def test_what_is_no_model(tmp_path):
    with pytest.raises(EncoderError, match="no sentence-transformers model"):
        SentenceEncoder.from_name(str(tmp_path))
    with pytest.raises(EncoderError, match="could not be had from the model hub"):
        SentenceEncoder.from_name("nobody/no-such-model")


TEXTS = [f"Ship {number} lies at berth {number % 7}. " * (1 + number % 11) for number in range(33)]


@pytest.fixture(scope="module")
def exports(encoder, tmp_path_factory):
    """The export of the default encoder in each precision; that in 8 bits is rounded from that of single precision."""
    index = tmp_path_factory.mktemp("index")
    exact, rounded = (SentenceEncoder(encoder.name, encoder.folder, each) for each in ("float32", "int8"))
    whole = ensure_export(exact, index, TEXTS, silent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "_write_onnx", lambda _, path: shutil.copyfile(whole / "model.onnx", path))
        small = ensure_export(rounded, index, TEXTS, silent)
    return {"float32": OnnxEncoder.open(whole), "int8": OnnxEncoder.open(small)}


def silent(stage, done, total):
    pass


@pytest.mark.parametrize(("precision", "lowest"), [("int8", 0.995), ("float32", 0.9999)])
def test_an_export_does_what_the_original_does(exports, encoder, precision, lowest):
    exported = exports[precision]
    made, original = exported.encode_passages(TEXTS), encoder.encode_passages(TEXTS)
    assert made.dtype == np.float32
    assert (made * original).sum(axis=1).min() > lowest
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-5)
    question = "Who brought the super-complaint?"
    assert float(exported.encode_queries([question])[0] @ encoder.encode_queries([question])[0]) > lowest
    assert encoder.encode_passages(TEXTS[:2]).shape == (2, 384)


@pytest.mark.parametrize(("precision", "difference"), [("int8", 0), ("float32", 1e-6)])
def test_a_vector_does_not_depend_on_the_other_texts_of_its_batch(exports, precision, difference):
    exported = exports[precision]
    together = exported.encode_passages([*TEXTS, "word " * 300])[: len(TEXTS)]
    alone = np.concatenate([exported.encode_queries([text]) for text in TEXTS])
    assert np.abs(together - alone).max() <= difference


def test_batches_hold_every_text_once_and_no_more_tokens_than_they_may():
    lengths = [5, 400, 1, 7, 2000, 256, 255, 3] * 9
    batches = list(batches_by_length(lengths, 1024))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= 1024 for batch in batches)
    assert [len(batch) for batch in batches_by_length(lengths, 1)] == [1] * len(lengths)
    assert list(batches_by_length([], 1)) == []


def test_precision_is_part_of_the_digest_and_not_of_the_models(encoder):
    exact, rounded = (SentenceEncoder(encoder.name, encoder.folder, each) for each in ("float32", "int8"))
    assert exact.digest != rounded.digest
    assert exact.model_digest == rounded.model_digest


def test_an_export_is_made_once_on_a_machine(encoder, exports, tmp_path, monkeypatch):
    first = ensure_export(encoder, tmp_path / "first", TEXTS, silent)
    monkeypatch.setattr(exporting, "_export", lambda *_: pytest.fail("it was exported again"))
    second = ensure_export(encoder, tmp_path / "second", TEXTS, silent)
    assert (first.name, OnnxEncoder.damage(second)) == (second.name, [])


def test_a_cache_that_cannot_be_written_or_is_damaged_is_done_without(encoder, exports, tmp_path, monkeypatch):
    whole = ensure_export(encoder, tmp_path / "whole", TEXTS, silent)
    monkeypatch.setattr(exporting, "_export", lambda _, folder, __: exporting._copy(whole, folder))
    told = []
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    made = ensure_export(encoder, tmp_path / "other", TEXTS, lambda *progress: told.append(progress))
    assert OnnxEncoder.damage(made) == []
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (cache / "rag_qa" / "encoders" / encoder.digest).mkdir(parents=True)
    shutil.copyfile(whole / "encoder.json", cache / "rag_qa" / "encoders" / encoder.digest / "encoder.json")
    assert OnnxEncoder.damage(ensure_export(encoder, tmp_path / "third", TEXTS, silent)) == []
    assert OnnxEncoder.damage(cache / "rag_qa" / "encoders" / encoder.digest) == []
    assert told == [("exporting", 0, 1), ("exporting", 1, 1)]


@pytest.mark.parametrize(("precision", "advice"), [("int8", "index with --exact"), ("float32", "another encoder")])
def test_an_export_that_differs_too_much_is_refused(encoder, exports, tmp_path, monkeypatch, precision, advice):
    rounded = SentenceEncoder(encoder.name, encoder.folder, "int8")
    whole = ensure_export(rounded, tmp_path / "whole", TEXTS, silent)
    monkeypatch.setattr(exporting, "_write_onnx", lambda _, path: shutil.copyfile(whole / "model.onnx", path))
    monkeypatch.setattr(exporting, "_quantize", lambda _: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(exporting.LOWEST_COSINES, precision, 0.99999)
    differing = SentenceEncoder(encoder.name, encoder.folder, precision)
    with pytest.raises(EncoderError, match=advice):
        ensure_export(differing, tmp_path / "index", TEXTS[:4], silent)
    assert list((tmp_path / "index" / "encoder").iterdir()) == []


def test_an_index_keeps_its_precision_and_a_new_one_has_the_best(encoder, exports, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("The ship lies at the quay.")
    index = tmp_path / "index"
    monkeypatch.setattr(indexing, "best_precision", lambda: "int8")
    build([tmp_path / "a.txt"], index)
    monkeypatch.setattr(indexing, "best_precision", lambda: "float32")
    assert indexing.find_encoder(index, Settings()).precision == "int8"
    assert indexing.find_encoder(tmp_path / "none", Settings()).precision == "float32"
    assert indexing.find_encoder(tmp_path / "none", Settings(precision="int8")).precision == "int8"
    build([tmp_path / "a.txt"], index, Settings(precision="float32"))
    monkeypatch.setattr(indexing, "best_precision", lambda: "int8")
    assert build([tmp_path / "a.txt"], index).passages.encoded == 0
    with Engine.open(index, load_settings({"precision": "auto"})) as engine:
        assert engine.info.encoder.precision == engine.settings.precision == "float32"
        assert engine.ask("Where does the ship lie?").passages
    given = SentenceEncoder(encoder.name, encoder.folder, "int8")
    with pytest.raises(SettingsError, match="the encoder that is given has int8"):
        build([tmp_path / "a.txt"], index, Settings(precision="float32"), encoder=given)


def test_with_an_accelerator_the_model_itself_encodes(encoder, exports, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "accelerator", lambda: True)
    exact = SentenceEncoder(encoder.name, encoder.folder, "float32")
    assert (exact.encodes_itself, SentenceEncoder(encoder.name, encoder.folder, "int8").encodes_itself) == (True, False)
    taken = []
    monkeypatch.setattr(SentenceEncoder, "encode_passages", lambda self, texts: taken.append(texts) or "vectors")
    assert ExportedEncoder(exact, tmp_path / "index", silent).encode_passages(["a"]) == "vectors"
    assert taken == [["a"]]


@pytest.mark.parametrize(("built_for", "asked"), [("cuda: Optional[str] = None", False), ("cuda: str = '12.4'", True)])
def test_torch_is_asked_for_an_accelerator_only_where_its_build_could_have_one(tmp_path, built_for, asked):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text(f"hip: Optional[str] = None\n{built_for}\n")
    (tmp_path / "torch" / "__init__.py").write_text("class accelerator: is_available = staticmethod(lambda: True)")
    told = "import sys; from rag_qa.models.hardware import accelerator; print(accelerator(), 'torch' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.platform = 'linux'; {told}"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [str(asked), str(asked)]


@pytest.mark.parametrize(
    ("flags", "accelerated", "best"),
    [
        ("flags : fma avx2 f16c", False, "float32"),
        ("flags : avx512bw avx512_vnni", False, "int8"),
        ("flags : avx2 avx_vnni", False, "int8"),
        ("flags : avx512_vnni", True, "float32"),
        (None, False, "float32"),
    ],
)
def test_8_bits_are_best_where_the_processor_multiplies_bytes(tmp_path, monkeypatch, flags, accelerated, best):
    processor = tmp_path / "cpuinfo"
    if flags:
        processor.write_text(f"processor : 0\n{flags}\nbugs :\n")
    monkeypatch.setattr(hardware, "PROCESSOR", processor)
    monkeypatch.setattr(hardware, "accelerator", lambda: accelerated)
    assert hardware.best_precision() == best


@pytest.fixture
def export(seeds_index, encoder, tmp_path):
    """A copy of the export, to damage."""
    return Path(shutil.copytree(seeds_index / "encoder" / encoder.digest, tmp_path / "export"))


def test_a_truncated_export_is_found(export):
    model = export / "model.onnx"
    whole = model.stat().st_size
    assert OnnxEncoder.damage(export) == []
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(IndexDamagedError, match="missing or truncated"):
        OnnxEncoder.open(export)
    model.write_bytes(bytes(whole))
    with pytest.raises(IndexDamagedError, match="cannot be loaded"):
        OnnxEncoder.open(export)
    assert OnnxEncoder.damage(export) == ["model.onnx"]
    (export / "encoder.json").unlink()
    with pytest.raises(IndexDamagedError, match="missing or damaged"):
        OnnxEncoder.open(export)


def test_every_flipped_byte_of_the_exports_description_is_found(export):
    config = export / "encoder.json"
    data = config.read_bytes()
    for place in range(len(data)):
        config.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert OnnxEncoder.damage(export) == ["encoder.json"]


def test_an_encoder_in_use_is_taken_again_until_its_files_are_written_anew(export):
    first = OnnxEncoder.open(export)
    assert OnnxEncoder.open(export) is first
    assert OnnxEncoder.open(export, threads=1) is not first
    model = export / "model.onnx"
    model.write_bytes(model.read_bytes())
    second = OnnxEncoder.open(export)
    assert second is not first
    assert (second.encode_queries(TEXTS[:2]) == first.encode_queries(TEXTS[:2])).all()
