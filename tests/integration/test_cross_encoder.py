import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.cross_encoders import make_model

from rag_qa.errors import RerankerError
from rag_qa.models.cross_encoder import CrossEncoderReranker

QUESTION = "who found it"
TEXTS = ["the harbour is deep", "the committee found it", "", "a report " * 100, "unknown words", "it is a harbour"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A real cross-encoder, small and never trained, saved as transformers saves it."""
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def copied(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def complaint(folder: Path) -> str:
    """What is said of a folder that cannot be used: one sentence."""
    with pytest.raises(RerankerError) as raised:
        CrossEncoderReranker.from_name(str(folder)).scores(QUESTION, TEXTS)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_scores_are_probabilities_that_tell_texts_apart_and_equal_in_any_batch(folder):
    reranker = CrossEncoderReranker.from_name(str(folder))
    scores = reranker.scores(QUESTION, TEXTS)
    assert all(type(score) is float and 0 < score < 1 for score in scores)
    assert max(scores) - min(scores) > 0.01
    assert reranker.scores(QUESTION, TEXTS[::-1]) == pytest.approx(scores[::-1], abs=1e-5)
    assert [reranker.scores(QUESTION, [text])[0] for text in TEXTS] == pytest.approx(scores, abs=1e-5)
    assert reranker.scores("the report", TEXTS) != pytest.approx(scores, abs=1e-5)
    assert reranker.scores(QUESTION, []) == []


def test_scores_are_those_of_the_model_itself(folder):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        logit = model(**tokenizer(QUESTION, TEXTS[1], return_tensors="pt")).logits[0, 0]
    score = CrossEncoderReranker.from_name(str(folder)).scores(QUESTION, TEXTS[1:2])
    assert score == [pytest.approx(float(torch.sigmoid(logit)), abs=1e-6)]


def test_an_activation_that_was_saved_with_the_model_is_not_used(folder, copied):
    change(copied / "config.json", sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"})
    reranker = CrossEncoderReranker.from_name(str(copied))
    assert type(reranker.load().activation_fn).__name__ == "Identity"
    scores = reranker.scores(QUESTION, TEXTS)
    assert scores == pytest.approx(CrossEncoderReranker.from_name(str(folder)).scores(QUESTION, TEXTS), abs=1e-6)


def test_a_model_that_sentence_transformers_saved(folder, tmp_path):
    original = CrossEncoderReranker.from_name(str(folder))
    original.load().save(str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "modules.json").is_file()
    saved = CrossEncoderReranker.from_name(str(tmp_path / "saved"))
    assert saved.name == "saved"
    assert saved.scores(QUESTION, TEXTS) == pytest.approx(original.scores(QUESTION, TEXTS), abs=1e-6)


def test_threads_may_share_it(folder):
    reranker = CrossEncoderReranker.from_name(str(folder))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: reranker.scores(QUESTION, TEXTS), range(20)))
    assert all(scores == pytest.approx(found[0], abs=1e-5) for scores in found)


def test_its_files_make_the_digest(folder, copied):
    digest = CrossEncoderReranker.from_name(str(folder)).digest
    assert CrossEncoderReranker.from_name(str(copied)).digest == digest
    (copied / "README.md").write_text("changed")
    assert CrossEncoderReranker.from_name(str(copied)).digest == digest
    change(copied / "config.json", layer_norm_eps=1e-6)
    assert CrossEncoderReranker.from_name(str(copied)).digest != digest


def test_what_is_no_cross_encoder(copied, encoder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no cross-encoder (no config.json): give a cross-encoder" in complaint(tmp_path / "empty")
    assert "bi-encoder, which cannot rerank: give a cross-encoder" in complaint(encoder.folder)
    change(copied / "config.json", architectures=["BertModel"])
    assert "made for something else than to classify" in complaint(copied)
    change(copied / "config.json", architectures=None)
    assert "made for something else than to classify" in complaint(copied)
    (copied / "tokenizer.json").unlink()
    assert "no tokenizer.json" in complaint(copied)
    (copied / "model.safetensors").unlink()
    assert "no cross-encoder (no weights)" in complaint(copied)
    (copied / "config.json").write_text("{")
    assert "config.json is no JSON object: repair" in complaint(copied)
    (copied / "config.json").write_text("[]")
    assert "config.json is no JSON object: repair" in complaint(copied)


@pytest.mark.parametrize("values", [{"id2label": 5}, {"architectures": 5}, {"architectures": [5]}])
def test_a_configuration_of_other_types(copied, values):
    change(copied / "config.json", **values)
    assert "is not what a model has: give a cross-encoder" in complaint(copied)


def test_a_model_with_several_labels(copied, tmp_path):
    (tmp_path / "three").mkdir()
    assert "has 3 labels: give a cross-encoder with one label" in complaint(make_model(tmp_path / "three", labels=3))
    change(copied / "config.json", id2label=None)
    assert "has 2 labels" in complaint(copied)


def test_broken_weights(copied):
    weights = copied / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "cannot be loaded (SafetensorError): repair it or give another" in complaint(copied)
    weights.write_bytes(b"")
    assert "cannot be loaded" in complaint(copied)


def test_weights_that_are_not_there_are_not_made_up(copied):
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    assert "lacks weights (classifier.weight)" in complaint(copied)


def test_weights_that_are_no_numbers(copied):
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    weights["classifier.bias"][:] = float("nan")
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    assert "gives what is no number" in complaint(copied)


@pytest.mark.parametrize("name", ["nobody/no-such-model", "no/such/folder", "/no/such/folder"])
def test_a_name_that_cannot_be_had(name):
    with pytest.raises(RerankerError, match=r"is no folder and could not be had from the model hub \(\w+\): give"):
        CrossEncoderReranker.from_name(name)


def test_torch_is_imported_only_to_load_the_model(folder):
    code = (
        "import sys; from rag_qa.models.cross_encoder import CrossEncoderReranker;"
        f"CrossEncoderReranker.from_name({str(folder)!r}).digest;"
        "assert not {'torch', 'transformers', 'sentence_transformers', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
