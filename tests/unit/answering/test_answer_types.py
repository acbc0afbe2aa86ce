import pytest

from rag_qa.answering.answer_types import AnswerType, answer_type, holds_answer


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is the e-mail address of the director?", AnswerType.EMAIL),
        ("How many pages were handed in?", AnswerType.NUMBER),
        ("What was the total value of the acquisition?", AnswerType.NUMBER),
        ("When did the harbour open?", AnswerType.DATE),
        ("In which year did it open?", AnswerType.DATE),
        ("Who runs it?", AnswerType.NAME),
        ("Where is it?", AnswerType.NAME),
        ("Which body investigated it?", AnswerType.NAME),
        ("What company bought it?", AnswerType.NAME),
        ("Why did they refuse?", AnswerType.REASON),
        ("What did HMICFRS recommend?", AnswerType.OTHER),
        ("Describe the whole harbour", AnswerType.OTHER),  # no “who” in it
    ],
)
def test_what_a_question_asks_for(question, kind):
    assert answer_type(question) is kind


@pytest.mark.parametrize(
    ("kind", "sentence", "held"),
    [
        (AnswerType.EMAIL, "Write to avril@kalayaan.org.uk.", True),
        (AnswerType.EMAIL, "@HMICFRS find that", False),
        (AnswerType.NUMBER, "It has 50 pages.", True),
        (AnswerType.NUMBER, "It has three pages.", True),
        (AnswerType.NUMBER, "It has pages.", False),
        (AnswerType.DATE, "It was filed in December 2018.", True),
        (AnswerType.DATE, "It has 50 pages.", False),
        (AnswerType.NAME, "It is run by Pragna Patel.", True),
        (AnswerType.NAME, "Liberty has asked.", False),  # the first word is always capitalised
        (AnswerType.NAME, "It is run by Liberty.", False),  # the question has that itself
        (AnswerType.REASON, "They refused because of the fee.", True),
        (AnswerType.REASON, "They refused.", False),
        (AnswerType.OTHER, "They refused.", None),
    ],
)
def test_what_a_sentence_holds(kind, sentence, held):
    assert holds_answer(kind, sentence, "Who leads Liberty?") is held
