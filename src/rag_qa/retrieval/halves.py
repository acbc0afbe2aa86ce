"""Questions with two halves: "Compare the dividends of A in 2018 and B in 2017" asks two things.

Precision comes first. A question is split where a word says that two things are asked for (compare, respectively, which
of A and B), where two names have a time of their own each, or where two whole questions are joined. Names that are only
joined by "and" may be one name, or one fact about two; what differs between two things is often said in one place.
"""

import re

from rag_qa.text.structure import sentences

__all__ = ["split_question"]

MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
TIME = rf"(?:(?:\d{{1,2}} )?(?:{MONTH},? )?(?:1[5-9]|20)\d\d|{MONTH}|Q[1-4])"
WHEN = rf"(?:,? (?:in|on|since|until|during|for|of|at the end of) (?:the )?(?:year )?{TIME})"
WORD = r"(?:[A-Z][\w&’'.-]*|\d+\w*[A-Z]\w*)"
NAME = rf"(?:[Tt]he )?{WORD}(?: (?:(?:of|for|de|van|von|the|&) )*{WORD})*"
"""Words that begin with a capital; small ones may stand between them."""
AND = r",? (?:and|or) "
VERSUS = r",? (?:and|or|with|to|versus|vs\.?) "

DATED_NAMES = re.compile(rf"(?<![\w’'-])(?P<first>{NAME}{WHEN}){AND}(?P<second>{NAME}{WHEN})")
NAMES = re.compile(rf"(?<![\w’'-])(?P<first>{NAME}{WHEN}?){VERSUS}(?P<second>{NAME}{WHEN}?)(?!{AND})")
OF = "(?:about|of|by|for|at|from|in|between|on)"
THINGS = re.compile(rf"(?:^| {OF} )(?P<first>(?:(?! {OF} )[^,])+?){VERSUS}(?P<second>(?:(?! {OF} )[^,])+)$")
PHRASES = re.compile(rf"^what about (?P<first>[^,]+?){VERSUS}(?P<second>[^,]+ {OF} [^,]+)$")
"""Two things without names, at the end of what is compared, or two that each say of what."""
TIMES = re.compile(rf"\b(?P<first>{TIME}) and (?:in |on )?(?P<second>{TIME})\b")

COMPARE = re.compile(r"^(?:please )?(?:compare and contrast|compare|contrast) ", re.IGNORECASE)
RESPECTIVELY = re.compile(r",? respectively\b|,? in their respective \w+(?: \w+)?", re.IGNORECASE)
WHICH_OF = re.compile(
    rf"^(?:which|who) of (?!the two|these|those)(?P<first>[^,]+?){AND}(?P<second>.+?) "
    r"(?P<rest>(?:is|are|was|were|has|have|had|did|does)\b.+)$",
    re.IGNORECASE,
)
COMPARATIVE = (
    "(?:more|most|less|least|first|last|best|worse|worst|(?:bett|bigg|cheap|earli|fast|few|great|heavi|high|larg|lat|light|"
    "long|low|near|new|old|rich|short|slow|small|soon|strong|tall|weak|wid|young)(?:er|est))"
)
WHICH = re.compile(
    rf"^(?P<rest>(?:[Ww]hich|[Ww]ho)\b[^,:]*\b{COMPARATIVE}\b[^,:]*)[,:] "
    rf"(?P<first>{NAME}{WHEN}?),? or (?P<second>{NAME}{WHEN}?)$"
)
WH = r"(?:who|when|where|what|how|why)\b"
JOINED = re.compile(rf"^(?P<first>{WH}.+?)(?:\?|,? and) (?:and )?(?P<second>{WH}.+)$", re.IGNORECASE)
REFERS_BACK = re.compile(
    r"\b(?:it|its|they|them|theirs?|he|him|his|she|hers?|this|that|these|those|there|then|ones?|so|such)\b",
    re.IGNORECASE,
)
LISTED = re.compile(r"\w, $")
NAME_BEFORE = re.compile(rf"{NAME} (?:and|&) $")
NAMED = re.compile(rf"(?<= ){WORD}")
VERDICT = re.compile(rf"\b{COMPARATIVE}\b", re.IGNORECASE)
LONGEST = 500
"""Characters of a question that is split, at most: the time to find names grows with the square of its length."""


def split_question(question: str) -> tuple[str, ...]:
    """The two questions that a question asks, or none where that is not clear."""
    asked = " ".join(question.split()).rstrip("?.! ")
    if len(asked) > LONGEST:
        return ()
    halves = _joined(asked) or _alternatives(asked) or _compared(asked) or _around(DATED_NAMES.search(asked), asked)
    if halves is None or halves[0].casefold() == halves[1].casefold():
        return ()
    return tuple(f"{half[0].upper()}{half[1:]}?" for half in halves)


def _joined(asked: str) -> tuple[str, str] | None:
    """Two whole questions about something named; the second neither refers to the first nor judges between things."""
    found = JOINED.match(asked)
    if found is None or not (NAMED.search(found["first"]) and NAMED.search(found["second"])):
        return None
    if REFERS_BACK.search(found["second"]) or VERDICT.search(found["second"]):
        return None
    return found["first"], found["second"]


def _alternatives(asked: str) -> tuple[str, str] | None:
    """The halves of "which of A and B was earlier" and "which was earlier, A or B": each with what is said of it."""
    if found := WHICH_OF.match(asked):
        return f"{found['first']} {found['rest']}", f"{found['second']} {found['rest']}"
    if found := WHICH.match(asked):
        return f"{found['rest']}, {found['first']}", f"{found['rest']}, {found['second']}"
    return None


def _compared(asked: str) -> tuple[str, str] | None:
    """The halves of a question that says by a word that it asks about two things."""
    if cue := COMPARE.match(asked):
        compared, *_ = sentences(asked[cue.end() :])  # what follows asks for a verdict on the two
        body = "what about " + asked[cue.end() :][slice(*compared)].rstrip("?.! ")
        return _around(NAMES.search(body), body) or _around(THINGS.search(body) or PHRASES.search(body), body)
    if not RESPECTIVELY.search(asked):
        return None
    body = RESPECTIVELY.sub("", asked)
    halves = _around(NAMES.search(body), body)
    if halves and (times := TIMES.search(body)):
        return halves[0].replace(times[0], times["first"]), halves[1].replace(times[0], times["second"])
    return halves


def _around(found: re.Match[str] | None, asked: str) -> tuple[str, str] | None:
    """The question with either of two things in place of both; None where they end a list of more."""
    if found is None or LISTED.search(asked[: found.start("first")]):
        return None
    start = found.start("first")
    if name := NAME_BEFORE.search(asked[:start]):  # the first is the end of a name that has an "and" itself
        start = name.start()
    before, first, after = asked[:start], asked[start : found.end("first")], asked[found.end("second") :]
    return f"{before}{first}{after}", f"{before}{found['second']}{after}"
