"""Test for words that spell an acronym: each gives a letter, one from within only where an element begins."""

import re
from collections.abc import Sequence
from itertools import takewhile

__all__ = ["LEAST_RUN", "SMALL_WORDS", "Word", "is_among", "spelled_by"]

LEAST_RUN = 3  # letters that a word may give by how it begins, as alpha in TNF-alpha; two would fit by chance
SMALL_WORDS = frozenset({"&", "a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"})
COMBINING = ("o", "yl", "oxy", "poly")
LISTED = (
    "anti bi bio co counter de di endo epi ex extra hyper im in infra inter intra iso mega meta mis mono multi myo neo "
    "non over para per peri poly post pre pro re semi sub super supra tele tetra trans tri ultra un under uni"
)
PREFIXES = frozenset(LISTED.split())

Word = list[re.Match[str]]  # in its hyphenated parts


def spelled_by(words: Sequence[Word], letters: str) -> int:
    """Number of the words, nearest first, that spell the letters; 0 where none do, or where it is ambiguous."""
    if fewest := _fewest(words, letters, inner=True):
        return fewest if _fewest(words, letters) in {0, fewest} else 0
    return _fewest(words, letters, shared=True)


def _fewest(words: Sequence[Word], letters: str, *, inner: bool = False, shared: bool = False) -> int:
    """The fewest of the words that spell the letters; 0 where none do.

    Args:
        words: all but the small ones have to give letters.
        letters: those of the acronym.
        inner: whether a letter may come from within a word.
        shared: whether a word may share its letter with the next, as in marrow-derived mesenchymal; not the last.
    """
    rest = {len(letters)}  # from where the words so far can spell on to the end
    for count, word in enumerate(words[: min(len(letters) + 5, 2 * len(letters))], 1):
        taken = [[_reach(part[0], letters, at, inner=inner) for at in range(len(letters))] for part in word]
        ends = {at: _reachable(taken, at) - {at} for at in range(len(letters))}
        if taken[0][0] and not rest.isdisjoint(_reachable(taken[1:], *taken[0][0])):
            return count
        skipped = rest if is_among(SMALL_WORDS, word) else set()
        if shared:
            skipped = skipped | {at for at in rest if at < len(letters) - 1 and ends[at]}
        rest = skipped.union(at for at in ends if not rest.isdisjoint(ends[at]))
        if not rest:
            break
    return 0


def _reachable(taken: Sequence[Sequence[set[int]]], *starts: int) -> set[int]:
    """Positions that parts which each take letters, or none, can reach from some starts."""
    ends = set(starts)
    for by_part in taken:
        ends |= {end for start in ends if start < len(by_part) for end in by_part[start]}
    return ends


def _reach(part: str, letters: str, at: int, *, inner: bool) -> set[int]:
    """Positions that a part of a word can reach by spelling letters from one on; from within itself only if `inner`."""
    if part[0].lower() != letters[at].lower():
        return set()
    lower, rest = part.lower(), letters[at:].lower()
    run = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(lower, rest, strict=False)))
    if lower[0].isdigit():
        return {at + run} if run == len(lower) else set()
    taken = {at + 1}
    if not part.islower() and run == len(lower.removesuffix("s")):
        taken.add(at + run)
    if inner:
        taken.update(range(at + LEAST_RUN, at + run + 1))
        last = 0
        for end, letter in enumerate(letters[at + 1 :], at + 2):
            last = next(
                (place for place in range(last + 1, len(part)) if _may_come_from_within(part, last, place, letter)),
                len(part),
            )
            if last == len(part):
                break
            taken.add(end)
    return taken


def _may_come_from_within(part: str, last: int, place: int, letter: str) -> bool:
    """Returns whether a letter may come from within a word, where an element begins, as vascular in cardiovascular."""
    before = part[:place].lower()
    return part[place].lower() == letter.lower() and (
        before in PREFIXES
        or (place > LEAST_RUN and before.endswith(COMBINING))
        or part.startswith("virus", place)
        or (part[place].isupper() and part[place - 1].islower())
        or (part[place] == letter and letter.islower() and place == last + 1)
    )


def is_among(words: frozenset[str], word: Word) -> bool:
    """Returns whether a word without hyphens is one of these."""
    return len(word) == 1 and word[0][0].lower() in words
