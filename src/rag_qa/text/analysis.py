"""A text to the terms that BM25 counts. Of tantivy only the tokenizer is used here."""

from collections.abc import Iterable

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from rag_qa.text.stopwords import STOPWORDS

__all__ = ["analyze", "stems"]


def _text_analyzer() -> TextAnalyzer:
    """The analysis that tantivy calls en_stem: words, lower case, Porter stems."""
    builder = TextAnalyzerBuilder(Tokenizer.simple())
    return builder.filter(Filter.remove_long(40)).filter(Filter.lowercase()).filter(Filter.stemmer("english")).build()


_ANALYZER = _text_analyzer()
_STOP_STEMS = frozenset(stem for word in STOPWORDS for stem in _ANALYZER.analyze(word))


def stems(text: str) -> list[str]:  # what makes other stems, or other terms below, needs another FORMAT
    """The stems of a text as BM25 counts them, repeated as they stand there."""
    return _ANALYZER.analyze(text)


def analyze(text: str) -> list[str]:
    """The stems of a text, without stopwords and single characters, repeated as they stand there."""
    return question_terms(stems(text))


def question_terms(found: Iterable[str]) -> list[str]:
    """The stems that a question may ask for."""
    return [stem for stem in found if len(stem) > 1 and stem not in _STOP_STEMS]
