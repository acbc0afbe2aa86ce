"""Small collections with vectors from a checksum of their texts, for tests of engines: nothing is read or encoded."""

import random
import re
import zlib
from functools import partial

import numpy as np

from rag_qa.index.records import EncoderRecord, SnapshotInfo, Vectors
from rag_qa.settings import Settings
from rag_qa.text.acronyms.mentions import find_mentions
from rag_qa.types import ChunkedDocument, Document, IndexedFile, Passage, document_id

DIMENSION = 8
FORMATS = {"txt": "text", "md": "markdown"}
WORDS = re.findall(
    r"\w+",
    "harbour ship lighthouse pilot ferry ice pier crown fee anchor winter storm captain island market bridge river "
    "museum clock founder letter council budget report the of a",
)


def unit_vectors(texts):
    """A unit vector for each text, of shape (n, 8); the same for the same text."""
    made = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIMENSION) for text in texts]
    vectors = np.array(made, dtype=np.float32).reshape(-1, DIMENSION)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_document(path, passages, *, record=None, context="", **metadata):
    """A document of passages, each a list of sentences, in a context that stands in none of them."""
    texts = [" ".join(sentences) for sentences in passages]
    text = "\n".join(texts)
    made, start = [], 0
    for sentences, slice_ in zip(passages, texts, strict=True):
        spans, at = [], start
        for sentence in sentences:
            spans.append((at, at + len(sentence)))
            at += len(sentence) + 1
        made.append(
            Passage(
                start=start, end=start + len(slice_), text=slice_, context=context, tokens=len(slice_.split()), line=1,
                sentences=tuple(spans),
            )
        )  # fmt: skip
        start += len(slice_) + 1
    name = path if record is None else f"{path}#{record}"
    document = Document(
        id=document_id(name), path=name, title=name, source=path, sha256=f"{zlib.crc32(text.encode()):08x}" * 8,
        parser="test/1", record=record, characters=len(text), text=text,
        metadata={"format": FORMATS.get(path.rpartition(".")[2]), **metadata},
    )  # fmt: skip
    return ChunkedDocument(document, tuple(made), find_mentions(text))


def random_documents(seed, count, most_passages=6):
    """Documents of words that repeat, so that terms, ties and duplicates are met."""
    chance = random.Random(seed)
    sentence = partial(_sentence, chance)
    return [
        make_document(
            f"{number:03}.{chance.choice(['txt', 'md'])}",
            [
                [sentence() for _ in range(chance.randrange(1, 5))]
                for _ in range(chance.randrange(1, most_passages + 1))
            ],
            language=chance.choice(["en", "de"]),
            date=f"20{chance.randrange(10, 25)}-0{chance.randrange(1, 9)}",
            topic=chance.choice(["sea", "land"]),
            context=chance.choice(["", "Report of the harbour", "Lighthouse"]),
        )
        for number in range(count)
    ]


def _sentence(chance):
    return f"{' '.join(chance.choice(WORDS) for _ in range(chance.randrange(2, 9))).capitalize()}."


def vectors_of(documents):
    """The vectors of passages and sentences, as an encoder would make them."""
    passages = [passage for document in documents for passage in document.passages]
    return Vectors(
        unit_vectors([passage.in_context for passage in passages]),
        unit_vectors([text for passage in passages for text in passage.sentence_texts]).astype(np.float16),
        [len(passage.sentences) for passage in passages],
    )


def file_of(document):
    """What an indexing run would keep of the document's file."""
    return IndexedFile(path=document.document.file, source=document.document.source, sha256=document.document.sha256)


def write(engine, documents, *, keep=(), renamed=None, identity="0123456789abcdef", settings=None, snapshots=3):
    """Commits a snapshot of new documents, kept files and renamed ones; gives its facts.

    Args:
        engine: as the conformance suite takes it.
        documents: new ones.
        keep: paths of files that are taken over.
        renamed: new paths by old ones.
        identity: the id to commit under.
        settings: sizes of segments.
        snapshots: how many are kept.
    """
    settings = settings or Settings()
    with engine.open_writer(settings, lambda *_: None) as writer:
        if documents:
            writer.add(documents, [vectors_of(documents)])
        before = {file.path: file for file in writer.previous.files()} if writer.previous else {}
        files = [*map(file_of, documents), *(before[path] for path in keep)]
        for old, new in (renamed or {}).items():
            writer.rename(old, partial(with_path, new))
            files.append(IndexedFile(path=new, source=new, sha256=before[old].sha256))
        writer.keep(set(keep))
        files = list({file.path: file for file in files}.values())
        return writer.commit(sorted(files, key=lambda file: file.path), info(writer, identity), snapshots)


def with_path(path, document):
    """A document under another name."""
    from msgspec import structs

    return structs.replace(document, id=document_id(path), path=path, source=path, title=path)


def info(writer, identity):
    """The facts of what a writer has taken."""
    return SnapshotInfo(
        id=identity, name="", created="2024-05-17T00:00:00+00:00", counts=writer.counts(),
        encoder=EncoderRecord("test", "0" * 16, "0" * 16, "float32", 0, 256), settings=Settings().for_index(),
        working_directory=".",
    )  # fmt: skip
