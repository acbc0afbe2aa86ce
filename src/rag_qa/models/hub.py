"""Models as sentence-transformers keeps them: look-up by name on the model hub, and the files that count."""

from pathlib import Path

from rag_qa.errors import RagQaError

__all__ = ["OTHER_FORMATS", "downloaded_folder"]

# Kept out of the digest and the download: other precisions and frameworks of the same weights.
OTHER_FORMATS = ("onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.md", ".git*")


def downloaded_folder(name: str, kind: str, wanted: str, error: type[RagQaError]) -> Path:
    """The folder of a model of the hub, downloaded if it is not on this machine.

    Args:
        name: of the model.
        kind: what it is to be, for the message.
        wanted: what else could be given, for the message.
        error: raised where it cannot be had.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=list(OTHER_FORMATS)))
    except (OSError, ValueError) as cause:  # offline, unknown name, malformed name
        raise error(
            f"The {kind} “{name}” is no folder and could not be had from the model hub "
            f"({type(cause).__name__}): give the folder of {wanted}."
        ) from None
