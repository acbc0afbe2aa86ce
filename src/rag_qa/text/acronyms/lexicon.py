"""The acronyms of a collection: what its documents say of them as pairs, and questions with pairs exchanged."""

import re
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from rag_qa.text.stopwords import STOPWORDS
from rag_qa.types import Mention, Mentions

__all__ = ["FEWEST_LETTERS", "POSSESSIVE", "WORD", "Acronym", "Lexicon", "is_shouted", "plain_words", "resolve"]

FEWEST_LETTERS = 5  # of an acronym that nothing defines, or that a question has in lower case
WORD = re.compile(r"\w+(?:['’]\w+)*+|&")
POSSESSIVE = re.compile(r"['’]s$")
SHOUTED_WORDS = 4  # of a question in capitals; a shorter one may be nothing but acronyms
APART = re.compile(r"[^\w\s'’&/,‐‑–-]")
ELISION = re.compile(r"^\w{1,2}['’](?=\w)")  # as in l’OMS


class Acronym(Struct, frozen=True):
    """A pair of the collection, and where its long form stands."""

    acronym: str
    long_form: str
    path: str = field(name="document")
    """Path of the document."""
    start: int
    end: int
    definitions: int = 0
    """Number of documents that define it; 0 where a name merely spells it."""


def resolve(mentions: Iterable[tuple[str, Mentions]]) -> tuple[Acronym, ...]:
    """The pairs of a collection, by acronym and long form.

    Long forms that differ only in number, case, hyphens, apostrophes, white space or a leading "the" are one: their
    most frequent spelling stands for them, where it stands first.

    Args:
        mentions: the path of each document and what it says; read once, in any order.
    """
    defined: dict[str, dict[str, dict[str, Acronym]]] = {}
    named: dict[str, Acronym | None] = {}
    used: set[str] = set()
    for path, mentioned in mentions:
        used.update(mentioned.used)
        for mention in mentioned.defined:
            spellings = defined.setdefault(mention.acronym, {}).setdefault(_normal(mention.long_form), {})
            spellings[mention.long_form] = _found(mention, path, spellings.get(mention.long_form), definitions=1)
        for mention in mentioned.spelled:
            known = named.get(mention.acronym)
            if mention.acronym not in named or (known and _normal(known.long_form) == _normal(mention.long_form)):
                named[mention.acronym] = _found(mention, path, known, definitions=0)
            else:
                named[mention.acronym] = None
    pairs = [_representative(spellings.values()) for senses in defined.values() for spellings in senses.values()]
    pairs += [name for acronym in used - defined.keys() if (name := named.get(acronym))]
    return tuple(sorted(pairs, key=lambda pair: (pair.acronym, pair.long_form)))


def _found(mention: Mention, path: str, known: Acronym | None, *, definitions: int) -> Acronym:
    new = Acronym(mention.acronym, mention.long_form, path, mention.start, mention.end, definitions)
    if known is None:
        return new
    first = min(known, new, key=lambda pair: (pair.path, pair.start))
    return replace(first, definitions=known.definitions + new.definitions)


def _representative(spellings: Iterable[Acronym]) -> Acronym:
    ordered = sorted(spellings, key=lambda pair: (-pair.definitions, pair.path, pair.start))
    return replace(ordered[0], definitions=sum(pair.definitions for pair in ordered))


def _normal(long_form: str) -> str:
    return " ".join(_normal_words(WORD.findall(long_form))).removeprefix("the ")


def _normal_words(words: Iterable[str]) -> list[str]:
    """Words without case, apostrophes and the ending of a plural."""
    plain = (re.sub(r"['’]", "", word.casefold()).replace("&", "and") for word in words)
    return [re.sub(r"(?<=\w\w[^s])s$", "", re.sub(r"ies$", "y", word)) for word in plain]


class Lexicon:
    """The pairs of a collection that are not ambiguous, by acronym and by long form."""

    def __init__(self, acronyms: Iterable[Acronym]) -> None:
        """Keeps of each acronym the long form that more than half of its definitions give, if there is one."""
        senses: dict[str, list[Acronym]] = {}
        for pair in acronyms:
            senses.setdefault(pair.acronym, []).append(pair)
        kept = []
        for pairs in senses.values():
            pair = max(pairs, key=lambda pair: pair.definitions)
            if len(pairs) == 1 or 2 * pair.definitions > sum(other.definitions for other in pairs):
                kept.append(pair)
        kept.sort(key=lambda pair: (pair.definitions, pair.acronym))  # of pairs that share a key, the last is taken
        self._by_acronym = {pair.acronym: pair for pair in kept}
        self._by_letters = {
            pair.acronym.casefold(): pair for pair in kept if sum(map(str.isalpha, pair.acronym)) >= FEWEST_LETTERS
        }
        self._by_long_form = {normal: pair for pair in kept if " " in (normal := _normal(pair.long_form))}
        terms = [*self._by_acronym, *self._by_long_form]
        self._longest = max((len(WORD.findall(term)) for term in terms), default=0)

    def expand(
        self, question: str, ordinary: Callable[[str], bool] = lambda _: False
    ) -> tuple[str, list[tuple[str, str, Acronym]]]:
        """Another variant of a question, and its replacements: a term, its other form, and the pair.

        Each acronym gives way to its long form and each long form to its acronym, the longest first. Without any, the
        variant is the question itself.

        Args:
            question: in words.
            ordinary: whether a word, in lower case, is one that everybody uses; then it means no acronym.
        """
        words = list(WORD.finditer(question))
        normal = _normal_words(word[0] for word in words)
        plain = plain_words(word[0] for word in words)
        exact = len(plain) < SHOUTED_WORDS or not is_shouted(plain)
        variant, replaced = "", []
        at = done = 0
        while at < len(words):
            for stop in range(min(at + self._longest, len(words)), at, -1):
                start, end = words[at].start(), words[stop - 1].end()
                if found := self._find(question[start:end], " ".join(normal[at:stop]), ordinary, exact=exact):
                    variant += re.sub(r"[@#]$", "", question[done:start]) + found[1]
                    replaced.append(found)
                    done, at = end, stop
                    break
            else:
                at += 1
        return variant + question[done:], list(dict.fromkeys(replaced))

    def _find(
        self, text: str, normal: str, ordinary: Callable[[str], bool], *, exact: bool
    ) -> tuple[str, str, Acronym] | None:
        pair = self._by_long_form.get(normal)
        if pair and not APART.search(text) and ("," not in text or "," in pair.long_form):
            return text, pair.acronym, pair
        for term in (text, POSSESSIVE.sub("", text), text.removesuffix("s"), ELISION.sub("", text)):
            pair = self._by_acronym.get(term) if exact else None
            lower = term.casefold()
            if pair is None and lower in self._by_letters and lower not in STOPWORDS and not ordinary(lower):
                pair = self._by_letters[lower]
            if pair:
                return term, " ".join(pair.long_form.split()), pair
        return None


def plain_words(tokens: Iterable[str]) -> list[str]:
    """The tokens that are made of letters, more than one."""
    return [token for token in tokens if len(token) > 1 and token.isalpha()]


def is_shouted(words: Sequence[str]) -> bool:
    """Returns whether most of them are written in capitals."""
    return 2 * sum(map(str.isupper, words)) > len(words)
