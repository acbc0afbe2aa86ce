"""A real cross-encoder, small and never trained."""

from pathlib import Path

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] the harbour is deep who found it committee a report"


def make_model(folder: Path, labels: int = 1) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text(VOCABULARY.replace(" ", "\n"))
    config = BertConfig(
        vocab_size=len(VOCABULARY.split()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
        num_labels=labels,
    )
    torch.manual_seed(1)
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(vocab=str(vocabulary)).save_pretrained(folder)
    return folder
