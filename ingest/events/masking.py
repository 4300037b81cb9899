"""Phone numbers are masked before a rejected line is kept. It may be broken JSON, so more is masked than necessary.

Not masked: timestamps, and the ids that are published anyway (of calls, agents, campaigns), unless they look like a
phone number.
"""

import json
import re

HIDDEN = "•••"
NUMBER_FIELDS = frozenset({"caller", "callee", "to_number"})
IDENTITIES = frozenset(
    {"event_id", "call_id", "linked_id", "agent", "to_agent", "campaign", "queue", "to_queue", "source", "type"}
)
INSTANTS = frozenset({"ts", "asked_for_human_at"})

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_COLON = re.compile(r"\s*:\s*")
_DATE = r"(?:(?:19|20)\d\d-\d\d-\d\d|\d{4}-\d\d-\d\d(?=T))"
_CLOCK = r"[0-2]\d:[0-5]\d(?::[0-6]\d(?:\.\d{1,9})?)?(?:Z|[+-][0-2]\d:?[0-5]\d)?"
_STAMP = rf"(?<!\d){_DATE}(?:[T ]{_CLOCK})?(?![\d-])"
_DIGITS = r"[+(]?\d(?:[ \t\u00a0\u202f.()/_–-]{0,3}\d){5,}"
_DIGITS_APART = re.compile(r"""["']?\d{1,4}["']?(?:\s*,\s*["']?\d{1,4}["']?){2,}""")
_STAMP_OR_DIGITS = re.compile(rf"(?P<stamp>{_STAMP})|{_DIGITS}", re.IGNORECASE)
_LIKE_A_NUMBER = re.compile(r"(?:[a-z]+:)?[+0(][\d .()/-]{7,}", re.IGNORECASE)
_SINCE_1970 = re.compile(r"1\d{9}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?![\d\w])")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
#: Fields in text that is not JSON: unmatched quotes, Python dicts, logs.
_LOOSE_FIELD = re.compile(
    rf"""\b({"|".join(sorted(NUMBER_FIELDS))})(["'\\]{{0,3}}\s*[:=]\s*["'\\]{{0,3}})([^"'\\,}}\n]+)""", re.IGNORECASE
)
_QUOTED = re.compile(r"'.*'", re.DOTALL)


def mask_payload(text: str) -> str:
    """Mask what is, or may be, a phone number in a line that broke the contract."""
    parts = []
    at = 0
    while token := _STRING.search(text, at):
        parts += [_mask_digits(text[at : token.start()]), _mask_string(token.group())]
        at = token.end()
        if colon := _COLON.match(text, at):
            at = colon.end()
            value, masked = _field(_text_of(token.group()).casefold(), text, at)
            parts += [colon.group(), masked]
            at += len(value)
    parts.append(_mask_digits(text[at:]))
    masked_text = _DIGITS_APART.sub(_mask_apart, "".join(parts))
    return _LOOSE_FIELD.sub(lambda m: m[0] if m[3].strip() == "null" else m[1] + m[2] + HIDDEN, masked_text)


def mask_reason(text: str) -> str:
    """Mask phone numbers in the value that a reason quotes."""
    return _QUOTED.sub(lambda quoted: _mask_digits(quoted[0]), text)


def _field(name: str, text: str, start: int) -> tuple[str, str]:
    """The field's value, which begins at `start`, and its masked form; both empty when no rule for fields applies."""
    string = _STRING.match(text, start)
    if name in NUMBER_FIELDS:
        value = string.group() if string else text[start : _end(text, start)]
        return value, value if value.strip() == "null" else f'"{HIDDEN}"' if string else HIDDEN
    if name in IDENTITIES and string and not _LIKE_A_NUMBER.fullmatch(_text_of(string.group()).strip()):
        return string.group(), string.group()
    if name in INSTANTS and (number := _SINCE_1970.match(text, start)):
        return number.group(), number.group()
    return "", ""


def _end(text: str, start: int) -> int:
    """Where a value that is not a string ends. An object or array that is not closed ends with the text."""
    depth, at = 0, start
    while at < len(text):
        if depth and (string := _STRING.match(text, at)):
            at = string.end()
        elif not depth and text[at] in ",]}\n":
            return at
        else:
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(text[at], 0)
            at += 1
    return len(text)


def _text_of(token: str) -> str:
    """The text of a JSON string; the token itself, without quotes, when it is not valid JSON."""
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return _unescaped(token).strip('"')


def _mask_string(token: str) -> str:
    """Mask a string, which may contain digits as escapes, or JSON."""
    try:
        content = json.loads(token, strict=False)
    except ValueError:
        plain = _unescaped(token)
        hidden = _mask_digits(plain)
        return token if hidden == plain else hidden
    hidden = mask_payload(content) if '"' in content else _mask_digits(content)
    return token if hidden == content else json.dumps(hidden, ensure_ascii=False).encode(errors="replace").decode()


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text).encode(errors="replace").decode()


def _mask_digits(text: str) -> str:
    return _STAMP_OR_DIGITS.sub(lambda m: m[0] if m["stamp"] else HIDDEN, text)


def _mask_apart(numbers: re.Match[str]) -> str:
    """Mask a list of short numbers that may be the digits of one phone number."""
    return HIDDEN if sum(map(str.isdecimal, numbers[0])) >= 6 else numbers[0]
