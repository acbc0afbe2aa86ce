"""A second engine: documents and vectors in memory, every passage compared with every question.

It is as plain as it can be. It shows what the seam asks of an engine, and that somebody else can write one.
"""

import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np
from msgspec import structs

from rag_qa.errors import BusyError, ConflictError, IndexMissingError, InputError, NotFoundError
from rag_qa.filters import Filters, matcher
from rag_qa.index.records import (
    Candidates,
    Counts,
    Difference,
    Entry,
    Pruned,
    SegmentDetails,
    SnapshotDetails,
    Vectors,
    Verified,
)
from rag_qa.text.acronyms.lexicon import resolve
from rag_qa.text.analysis import analyze, stems
from rag_qa.text.duplicates import LENGTH, signature

K1, B = 1.2, 0.75


class MemoryEngine:
    """The snapshots of one index, by name; a lock for the one that writes."""

    def __init__(self, folder):
        self.folder = folder
        self.snapshots = {}
        self.current = None
        self.lock = Lock()

    def open_index(self, then):
        return then(MemoryIndex(self, self.open_history().snapshot()))

    @contextmanager
    def open_writer(self, settings, progress, *, wait=True, dry_run=False):
        if not dry_run and not self.lock.acquire(blocking=wait):
            raise BusyError("Another writer is at work: try again.")
        try:
            yield MemoryWriter(self, dry_run=dry_run)
        finally:
            if not dry_run:
                self.lock.release()

    def open_history(self):
        return MemoryHistory(self)


@dataclass
class MemorySnapshot:
    info: object
    files: list
    documents: list
    """Chunked documents with their vectors, in the order of rows."""
    sequence: int = 0


class MemoryIndex:
    """One snapshot; everything is computed anew for each question."""

    bm25_bound = K1 + 1

    def __init__(self, engine, snapshot):
        self.folder = engine.folder
        self.info = snapshot.info
        self.encoder_folder = self.folder / "encoder" / self.info.encoder.digest
        self._files = snapshot.files
        self._documents = [document for document, _ in snapshot.documents]
        self.acronyms = resolve((each.document.path, each.mentions) for each in self._documents)
        self._rows = [(each.document.info, passage) for each in self._documents for passage in each.passages]
        firsts = np.cumsum([0, *(len(each.passages) for each in self._documents)])
        self._ranges = {
            each.document.id: range(first, first + len(each.passages))
            for each, first in zip(self._documents, firsts.tolist(), strict=False)
        }
        vectors = [vectors for _, vectors in snapshot.documents]
        self._vectors = np.concatenate([each.passages.astype(np.float16) for each in vectors]).astype(np.float32)
        ends = np.cumsum([count for each in vectors for count in each.counts])
        self._sentences = np.split(np.concatenate([each.sentences for each in vectors]).astype(np.float32), ends[:-1])

    @cached_property
    def _counts(self):
        return [Counter(stems(passage.in_context)) for _, passage in self._rows]

    @cached_property
    def _terms(self):
        return [set(analyze(passage.in_context)) for _, passage in self._rows]

    def idf(self, terms):
        found = {term: sum(term in counts for counts in self._counts) for term in terms}
        return {term: math.log(1 + (len(self._rows) - n + 0.5) / (n + 0.5)) for term, n in found.items()}

    def search(self, vectors, terms, shares, options, filters=None):
        allowed = self._allowed(filters, options.without)
        everything = self._dense(vectors, range(len(self._rows)))
        bm25 = np.stack([self._bm25(each) for each in terms])
        near = [self._best(scores, options.depth, allowed) for scores in everything if options.dense]
        worded = [self._best(scores, options.depth, allowed & (scores > 0)) if options.bm25 else [] for scores in bm25]
        rows = np.array(sorted(set().union(*near, *worded)), dtype=np.int64)
        if not len(rows):
            return Candidates.none(len(vectors))
        dense = everything[:, rows]
        if options.sentences:
            best = [
                [scores.max() for scores in each] for each in zip(*self.sentence_scores(vectors, rows), strict=True)
            ]
            dense = np.maximum(dense, np.array(best, dtype=np.float32))
        kept = np.stack(
            [np.where(np.isin(rows, found), scores[rows], 0.0) for scores, found in zip(bm25, worded, strict=True)]
        )
        coverage = np.array([[self._coverage(each, rows, reach) for reach in (0, 1)] for each in shares])
        return Candidates(rows=rows, dense=dense, bm25=kept, coverage=coverage)

    def signatures(self, rows):
        made = [signature(self._rows[row][1].text) for row in rows]
        return np.array(made, dtype=np.uint32).reshape(-1, LENGTH)

    def passages(self, rows):
        return [self._rows[row] for row in rows]

    def sentence_scores(self, vectors, rows):
        return [np.vecdot(vectors[:, np.newaxis], self._sentences[row][np.newaxis]) for row in rows]

    def passage_vectors(self, rows):
        return self._vectors[list(rows)]

    def check_filters(self, filters):
        matcher(filters, self._fields)

    def facets(self):
        counted = {
            name: Counter(
                str(each.document.metadata[name]) for each in self._documents if each.document.metadata.get(name)
            )
            for name in ("format", "language")
        }
        return {name: sorted(counts.items(), key=lambda item: (-item[1], item[0])) for name, counts in counted.items()}

    def files(self):
        return list(self._files)

    def documents(self, offset=0, limit=None):
        end = None if limit is None else offset + limit
        return [(each.document.info, len(each.passages)) for each in self._documents[offset:end]]

    def document_info(self, document_id):
        document = self.document(document_id)
        return document and (document.info, self._ranges[document_id])

    def document(self, document_id):
        return next((each.document for each in self._documents if each.document.id == document_id), None)

    def close(self):
        pass

    @cached_property
    def _fields(self):
        return {"title"}.union(*(each.document.metadata for each in self._documents))

    def _allowed(self, filters, without):
        passes = matcher(filters or Filters(), self._fields)
        allowed = np.array([passes(info) for info, _ in self._rows], dtype=bool)
        allowed[list(without)] = False
        return allowed

    @staticmethod
    def _best(scores, depth, allowed):
        """The rows with the highest scores, equal ones by row."""
        rows = np.flatnonzero(allowed)
        return rows[np.lexsort((rows, -scores[rows]))][:depth].tolist()

    def _dense(self, vectors, rows):
        return np.vecdot(vectors[:, np.newaxis], self._vectors[list(rows)][np.newaxis])

    def _bm25(self, terms):
        """The BM25 score of every row; lengths are rounded down to what a byte tells, as tantivy keeps them."""
        idf = self.idf(terms)
        lengths = [sum(counts.values()) for counts in self._counts]
        norms = [K1 * (1 - B + B * rounded(length) * len(lengths) / sum(lengths)) for length in lengths]
        return np.array(
            [
                sum(
                    n * idf[term] * (K1 + 1) * counts[term] / (counts[term] + norm)
                    for term, n in terms.items()
                    if counts[term]
                )
                for counts, norm in zip(self._counts, norms, strict=True)
            ],
            dtype=np.float64,
        )

    def _coverage(self, shares, rows, reach):
        """The shares of terms in each row, or in it and its neighbours in the document."""
        found = []
        for row in rows.tolist():
            own = self._ranges[self._rows[row][0].id]
            near = [other for other in range(row - reach, row + reach + 1) if other in own]
            held = set().union(*(self._terms[other] for other in near))
            found.append(sum(share for term, share in shares.items() if term in held))
        return found


def rounded(length):
    """The largest number not above a length that tantivy's one byte for lengths can tell."""
    start, step = 40, 2
    while length >= start + 8 * step:
        start, step = start + 8 * step, 2 * step
    return length if length <= 40 else start + (length - start) // step * step


class MemoryWriter:
    """Collects documents, which become a snapshot when they are committed."""

    def __init__(self, engine, *, dry_run):
        self.folder = engine.folder
        self.rebuilt = None
        self._engine = engine
        self._before = engine.snapshots.get(engine.current)
        self.previous = MemoryIndex(engine, self._before) if self._before else None
        self._dry_run = dry_run
        self._taken = {}

    def add(self, documents, vectors):
        parts = list(vectors)
        passages = np.concatenate([part.passages for part in parts]) if parts else np.zeros((0, 1), np.float32)
        sentences = np.concatenate([part.sentences for part in parts]) if parts else np.zeros((0, 1), np.float16)
        counts = [count for part in parts for count in part.counts]
        for document in documents:
            own = counts[: len(document.passages)]
            of_document = Vectors(passages[: len(own)], sentences[: sum(own)], own)
            passages, sentences, counts = passages[len(own) :], sentences[sum(own) :], counts[len(own) :]
            self._take(document, of_document)

    def keep(self, files):
        for document, vectors in self._before.documents if self._before else ():
            if document.document.file in files:
                self._take(document, vectors)

    def rename(self, file, renamed):
        for document, vectors in self._before.documents if self._before else ():
            if document.document.file == file:
                self._take(structs.replace(document, document=renamed(document.document)), vectors)

    def counts(self):
        every = [document for document, _ in self._taken.values()]
        return Counts(len(every), sum(len(each.passages) for each in every), sum(each.tokens for each in every))

    def digests(self):
        return (document.digest for document, _ in self._ordered())

    def commit(self, files, info, keep):
        if self._dry_run:
            return info
        history, snapshots = self._engine.open_history(), self._engine.snapshots
        sequence = 1 + max((each.sequence for each in snapshots.values()), default=0)
        dimension = next(iter(self._taken.values()))[1].passages.shape[1]
        encoder = structs.replace(info.encoder, dimension=dimension)
        info = structs.replace(info, name=f"{info.id}-{sequence:08x}", encoder=encoder)
        snapshots[info.name] = MemorySnapshot(info, list(files), self._ordered(), sequence)
        self._engine.current = info.name
        history.prune(keep)
        return info

    def discard(self):
        self._taken = {}

    def _ordered(self):
        return sorted(self._taken.values(), key=lambda each: (each[0].document.file, each[0].document.record or 0))

    def _take(self, document, vectors):
        if document.document.id in self._taken:
            raise InputError(f"Two documents would both be called “{document.document.path}”: rename one.")
        self._taken[document.document.id] = document, vectors


class MemoryHistory:
    """The snapshots of an engine by name."""

    def __init__(self, engine):
        self._engine = engine

    def snapshot(self):
        return self._engine.snapshots[self.current()]

    def current(self):
        if self._engine.current is None:
            raise IndexMissingError("Nothing was indexed: index something.")
        return self._engine.current

    def info(self):
        return self.snapshot().info

    def entries(self):
        return [
            Entry(name=name, current=name == self.current(), sequence=each.sequence, counts=each.info.counts)
            for name, each in self._newest()
        ]

    def resolve(self, named):
        if named == "current":
            return self.current()
        if named == "previous":
            older = [name for name, each in self._newest() if each.sequence < self.snapshot().sequence]
            if not older:
                raise ConflictError("There is no earlier snapshot: index again.")
            return older[0]
        found = [name for name in self._engine.snapshots if named and name.startswith(named)]
        if not found:
            raise NotFoundError(f"There is no snapshot {named}: list them.")
        if len(found) > 1:
            raise ConflictError(f"{named} may be any of {', '.join(found)}: write more of the name.")
        return found[0]

    def details(self, name):
        each = self._engine.snapshots[name]
        segments = (SegmentDetails(name="memory", passages=each.info.counts.passages),)
        return SnapshotDetails(
            name=name, sequence=each.sequence, info=each.info, segments=segments, files=0, bytes=0, manifest=each.info
        )

    def verify(self, name):
        return Verified(name=name)

    def advice(self, verified):
        return "index again"

    def diff(self, before, after):
        old, new = (
            {each.document.path: each.digest for each, _ in self._engine.snapshots[name].documents}
            for name in (before, after)
        )
        return Difference(
            before=before,
            after=after,
            settings={},
            added=sorted(new.keys() - old.keys()),
            changed=sorted(path for path in new.keys() & old.keys() if new[path] != old[path]),
            removed=sorted(old.keys() - new.keys()),
        )

    def roll_back(self, named=None):
        before = self.current()
        self._engine.current = self.resolve(named or "previous")
        return self._engine.current, before

    def prune(self, keep, on_wait=None):
        others = [name for name, _ in self._newest() if name != self.current()]
        for name in others[max(0, keep - 1) :]:
            del self._engine.snapshots[name]
        return Pruned(others[max(0, keep - 1) :], sorted(self._engine.snapshots))

    def _newest(self):
        return sorted(self._engine.snapshots.items(), key=lambda item: -item[1].sequence)
