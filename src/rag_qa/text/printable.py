"""Text from documents made safe to print: without the control characters that a terminal would obey."""

__all__ = ["in_line", "printable"]


# Documents may hold escape sequences; a terminal would obey them.
CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
# In a name also line ends, and what turns the direction of writing: they could forge a line of ours.
NAME_CONTROLS = CONTROLS | dict.fromkeys([10, 9, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F)], " ")
NAME_CONTROLS |= dict.fromkeys(range(0x2066, 0x206A), " ")


def printable(text: str) -> str:
    """The text without control characters, line ends and tabs excepted."""
    return text.translate(CONTROLS)


def in_line(text: str) -> str:
    """A text with names in it, as one line."""
    return text.translate(NAME_CONTROLS)
