"""English function words and question words, which say nothing about the answer."""

__all__ = ["STOPWORDS"]

LISTED = (
    "a about after all also am an and any are as at be been before being between both but by can could "
    "did do does doing done during each for from had has have having he her here hers him his how i if "
    "in into is it its itself me might more most must my no nor not of off on only or other our ours out "
    "over own same shall she should so some such than that the their theirs them themselves then there "
    "these they this those through to too under up upon very was we were what when where which while who "
    "whom whose why will with would you your"
)
STOPWORDS = frozenset(LISTED.split())
