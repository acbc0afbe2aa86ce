"""What can be asked."""

from rag_qa.errors import QuestionError

__all__ = ["check_question"]


def check_question(question: str, longest: int) -> None:
    """Sees that a question can be asked.

    Args:
        question: in words.
        longest: how many characters are read.

    Raises:
        QuestionError: it cannot; the message says why.
    """
    if len(question) > longest:
        raise QuestionError(f"The question has {len(question)} characters, at most {longest} are read: shorten it.")
    if not question.strip():
        raise QuestionError("The question is empty: ask in words.")
    if "\0" in question or any("\ud800" <= character <= "\udfff" for character in question):
        raise QuestionError("The question holds a NUL or bytes that are no text: ask in words.")
    if not any(character.isalnum() for character in question):
        raise QuestionError("The question has no letter and no digit: ask in words.")
