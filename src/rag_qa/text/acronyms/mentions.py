"""Acronyms and their long forms, mined from the collection itself.

A wrong pair is worse than a missed one. Definitions in brackets are found as by Schwartz and Hearst 2003, "A simple
algorithm for identifying abbreviation definitions in biomedical text", with a stricter alignment: every word of the
long form gives its first letter, or that of one of its hyphenated parts, and a letter from within a word counts only
where an element of a compound begins. Without a definition, only an acronym of at least five letters is resolved, and
only where the whole collection has a single capitalised name that spells it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from rag_qa.text.acronyms.initials import LEAST_RUN, SMALL_WORDS, Word, is_among, spelled_by
from rag_qa.text.acronyms.lexicon import FEWEST_LETTERS, POSSESSIVE, WORD, is_shouted, plain_words
from rag_qa.text.stopwords import STOPWORDS
from rag_qa.types import Mention, Mentions

__all__ = ["MENTIONS_VERSION", "find_mentions"]

MENTIONS_VERSION = 2  # raise it when a change here finds other mentions in the same text

MOST_LETTERS = 10
WINDOW = 240  # characters before a bracket in which its long form begins
SHORT_WINDOW = 24
OPENERS = STOPWORDS - {"her", "his", "our"}
"""Words that have a capital only because a sentence begins with them."""

SPACE = r"[ \t\xa0]*+(?:\r?\n)?+[ \t\xa0]*+"
SHORT = r"[^\W_](?:[-/&]?[^\W_]){1,11}"
BRACKET = re.compile(r"\(([^()]{2,160}+)\)")
SHORT_INSIDE = re.compile(rf"\s*+(?:the\s++)?[\"“'‘]?({SHORT})[\"”'’]?\s*+(?:[;,].*)?", re.DOTALL)
SHORT_BEFORE = re.compile(rf"(?<![\w&/.-])({SHORT})[\"”]?{SPACE}\Z")
LONG_INSIDE = re.compile(r"\s*+[\"“'‘]?([^;\"”]*+)")
HYPHEN = re.compile(r"[-‐‑–]")
BETWEEN = re.compile(rf"['’]?,?(?=\s){SPACE}|/")
BEFORE_BRACKET = re.compile(rf"[\"”'’]?{SPACE}")
PLURAL = re.compile(r"(?<![a-zß-ÿ/&-])s$")
JOINED = re.compile(r"\s(?:and|&)\s")
LIST_TAIL = re.compile(r"[A-ZÀ-ÖØ-Þ][\w'’]*+,\s+$")
ROMAN = re.compile(r"[IVX]+")
WRITTEN_OUT = re.compile(r"[a-zß-ÿ]{3}")  # as in AmeriCorps, which is a name
NUMERAL = re.compile(r"-(I{1,3}|IV|VI{1,3}|IX)$")
TWO_PHRASES = re.compile(r"\s(?:and|by|from|or|to|with)\s+the\s")
HONORIFIC = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Sir|Dame|Lord|Lady)\.?\s+$")
DETERMINER = re.compile(
    r"\b(?:an?|any|each|every|her|his|its|my|no|our|some|that|the|their|this|your)\s+$", re.IGNORECASE
)
SENTENCE = re.compile(r"[^\r\n.!?]++(?:[.!?](?!\s)[^\r\n.!?]*+)*+")
TOKEN = re.compile(r"[@#]?\w+")
CAPITALISED = r"[A-ZÀ-ÖØ-Þ][\w'’]*+(?:[-‐‑–][\w'’]++)*+"
JOINT = rf"(?=\s){SPACE}(?:(?:of|and(?!\s+the\b)|the|for|in|on|to|&)(?=\s){SPACE}){{0,3}}+"
NAME = re.compile(rf"(?<![\w'’@#&-]){CAPITALISED}(?:{JOINT}{CAPITALISED})++")


def find_mentions(text: str) -> Mentions:
    """Finds the acronyms that a document's text defines, spells and uses."""
    return Mentions(_each_once(_definitions(text)), _each_once(_names(text)), tuple(sorted(_used(text))))


def _each_once(mentions: Iterable[Mention]) -> tuple[Mention, ...]:
    first: dict[tuple[str, str], Mention] = {}
    for mention in mentions:
        first.setdefault((mention.acronym, mention.long_form), mention)
    return tuple(first.values())


def _definitions(text: str) -> Iterator[Mention]:
    """Every "Long Form (LF)" and "LF (Long Form)"."""
    after_bracket = -1
    for bracket in BRACKET.finditer(text):
        opening = bracket.start()
        if not text[opening - 1 : opening].isspace():
            continue
        if inside := SHORT_INSIDE.fullmatch(bracket[1]):
            short, end, defined = _short_form(inside[1]), opening, None
            starts = range(max(after_bracket, end - WINDOW) + 1, end)  # before them, a word might be cut
        elif (before := SHORT_BEFORE.search(text[max(0, opening - SHORT_WINDOW) : opening])) and (
            content := LONG_INSIDE.match(text, *bracket.span(1))
        ):
            short, end, defined = _short_form(before[1]), content.end(), opening - len(before[0])
            starts = range(content.start(1), content.start(1) + 1)
        else:
            continue
        after_bracket = bracket.end()
        words = _words(text, max(0, starts.start - 1), end) if short else []
        words = words[: spelled_by(words, "".join(filter(str.isalnum, short)))][::-1]
        if not words:
            continue
        start = words[0][0].start()
        long_form = POSSESSIVE.sub("", text[start : words[-1][-1].end()])
        place = start if defined is None else defined
        is_person = _is_person(text[max(0, place - SHORT_WINDOW) : place], words, short)
        if start in starts and not is_person and _is_sound(words, long_form, short):
            yield Mention(short, long_form, start, start + len(long_form))


def _short_form(text: str) -> str:
    """The acronym, without the s of a plural; empty where it cannot be one."""
    short = text[:-1] if PLURAL.search(text) else text
    is_one = sum(map(str.isupper, short)) > 1 and len(short) <= MOST_LETTERS
    return short if is_one and not ROMAN.fullmatch(short) and not WRITTEN_OUT.search(short) else ""


def _words(text: str, start: int, end: int) -> list[Word]:
    """The words that lead up to an offset without a break, nearest first."""
    words: list[Word] = []
    right = end
    for part in reversed(list(WORD.finditer(text, start, end))):
        gap = text[part.end() : right]
        if words and HYPHEN.fullmatch(gap):
            words[-1].insert(0, part)
        elif (BETWEEN if words else BEFORE_BRACKET).fullmatch(gap):
            words.append([part])
        else:
            break
        right = part.start()
    return words


def _is_sound(words: Sequence[Word], long_form: str, short: str) -> bool:
    """Returns whether what spells an acronym is to be believed."""
    first, last = words[0], words[-1]
    initial, opening = short[0].lower(), first[0][0]
    letters = sum(map(str.isalnum, short))
    few, single = letters < LEAST_RUN, len(words) == len(first) == 1
    titled = all(word[0][0][0].isupper() for word in words if not is_among(SMALL_WORDS, word))
    again = initial in {part[0][0].lower() for part in first[1:]}
    numeral = NUMERAL.search(short)
    return not (
        sum(map(str.isalnum, long_form)) <= letters
        or (few and (single or "," in long_form or "/" in short))
        or (len(words) == 1 and long_form.lower().startswith(short.lower()))
        or "_" in long_form
        or (is_among(STOPWORDS, first) and (few or not titled))
        or (is_among(STOPWORDS, last) and not last[0][0].isupper())
        or (len(first) == len(opening) == 1 and opening.islower())
        or (TWO_PHRASES.search(long_form) and not titled)
        or (long_form[-1].isdigit() and not short[-1].isdigit())
        or (numeral and not re.search(rf"\b{numeral[1]}$", long_form))
        # CPC-conditioned medium (CM): either part may have been meant.
        or (again and not short.lower().startswith((opening.lower(), 2 * initial)))
        or re.search(rf"(?<!\w){re.escape(short)}(?!\w)", long_form)
    )


def _is_person(before: str, words: Sequence[Word], short: str) -> bool:
    """Returns whether a long form may be a person: behind a title, or two names, and initials, without a determiner."""
    names = [word[0][0] for word in words]
    capitals = all(name[0].isupper() for name in names)
    initials = len(names) == len(short) > 1 and all(len(name) == 1 for name in names[1:-1])
    return bool(HONORIFIC.search(before)) or (capitals and initials and not DETERMINER.search(before))


def _names(text: str) -> Iterator[Mention]:
    """Capitalised names that spell at least five letters, a hyphenated word counting as one and as its parts."""
    for name in NAME.finditer(text):
        words = list(re.finditer(r"\S+", name[0]))
        while words and words[0][0].lower() in OPENERS:
            del words[0]
        counted = [word[0] for word in words if word[0].lower() not in SMALL_WORDS]
        bracket = text[name.end() : name.end() + 2].lstrip().startswith("(")
        if bracket or not words or len(set(counted)) < len(counted) or any(map(str.isupper, counted)):
            continue
        start = name.start() + words[0].start()
        if LIST_TAIL.search(text[max(0, start - SHORT_WINDOW) : start]) and JOINED.search(name[0]):
            continue
        long_form = POSSESSIVE.sub("", text[start : name.end()].rstrip("'’"))
        parts = [part for word in counted for part in HYPHEN.split(word) if part[0].isupper()]
        for spelling in dict.fromkeys("".join(word[0] for word in spelled) for spelled in (counted, parts)):
            if FEWEST_LETTERS <= len(spelling) <= MOST_LETTERS:
                yield Mention(spelling, long_form, start, start + len(long_form))


def _used(text: str) -> set[str]:
    """Words of at least five letters that stand in capitals only, and not in a headline."""
    found: set[str] = set()
    others: set[str] = set()
    for sentence in SENTENCE.findall(text):
        tokens = TOKEN.findall(sentence)
        words = plain_words(tokens)
        others.update(word.lower() for word in words if not word.isupper())
        found.update(token[1:] for token in tokens if token[0] in "@#")
        if not is_shouted(words):
            found.update(words)
    singular = (word.removesuffix("s") for word in found)
    acronyms = {word for word in singular if len(word) >= FEWEST_LETTERS and word.isalpha() and word.isupper()}
    return {acronym for acronym in acronyms if acronym.lower() not in others and len(set(acronym)) > 1}
