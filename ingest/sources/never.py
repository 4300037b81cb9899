"""The words that databases and exports write where there is no value."""

WORDS = ("", "NULL", "(NULL)", r"\N")


def is_none_word(text: str) -> bool:
    """Whether a cell says that it has no value: it is empty, or NULL, null, (NULL) or \\N."""
    return text.strip().upper() in WORDS
