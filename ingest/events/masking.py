"""Phone numbers are hidden before a rejected line is kept. It may be broken JSON, so more is hidden than need be.

Kept as they came: instants, and the identities that are published anyway (a call's, an agent's, a campaign's), unless
they look like a phone number themselves.
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
#: Fields where no JSON is: quotes that do not match, Python's dicts, logs.
_LOOSE_FIELD = re.compile(
    rf"""\b({"|".join(sorted(NUMBER_FIELDS))})(["'\\]{{0,3}}\s*[:=]\s*["'\\]{{0,3}})([^"'\\,}}\n]+)""", re.IGNORECASE
)
_QUOTED = re.compile(r"'.*'", re.DOTALL)


def mask_payload(text: str) -> str:
    """Hide what is, or may be, a phone number in a line that broke the contract."""
    parts = []
    at = 0
    while token := _STRING.search(text, at):
        parts += [_mask_digits(text[at : token.start()]), _mask_string(token.group())]
        at = token.end()
        if colon := _COLON.match(text, at):
            at = colon.end()
            value, masked = _field(_said(token.group()).casefold(), text, at)
            parts += [colon.group(), masked]
            at += len(value)
    parts.append(_mask_digits(text[at:]))
    whole = _DIGITS_APART.sub(_mask_apart, "".join(parts))
    return _LOOSE_FIELD.sub(lambda m: m[0] if m[3].strip() == "null" else m[1] + m[2] + HIDDEN, whole)


def mask_reason(text: str) -> str:
    """Hide phone numbers in the value that a reason quotes."""
    return _QUOTED.sub(lambda quoted: _mask_digits(quoted[0]), text)


def _field(name: str, text: str, start: int) -> tuple[str, str]:
    """The value that begins at `start`, and what stands for it; nothing when it is to be masked as other text is."""
    string = _STRING.match(text, start)
    if name in NUMBER_FIELDS:
        value = string.group() if string else text[start : _end(text, start)]
        return value, value if value.strip() == "null" else f'"{HIDDEN}"' if string else HIDDEN
    if name in IDENTITIES and string and not _LIKE_A_NUMBER.fullmatch(_said(string.group()).strip()):
        return string.group(), string.group()
    if name in INSTANTS and (number := _SINCE_1970.match(text, start)):
        return number.group(), number.group()
    return "", ""


def _end(text: str, start: int) -> int:
    """Where a value ends that is no string; of an object or array that is not closed it is the end of the text."""
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


def _said(token: str) -> str:
    """What a JSON string says; as it stands when it is not one."""
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return _unescaped(token).strip('"')


def _mask_string(token: str) -> str:
    """Mask a string, which may hold digits as escapes, or JSON."""
    try:
        said = json.loads(token, strict=False)
    except ValueError:
        plain = _unescaped(token)
        hidden = _mask_digits(plain)
        return token if hidden == plain else hidden
    hidden = mask_payload(said) if '"' in said else _mask_digits(said)
    return token if hidden == said else json.dumps(hidden, ensure_ascii=False).encode(errors="replace").decode()


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text).encode(errors="replace").decode()


def _mask_digits(text: str) -> str:
    return _STAMP_OR_DIGITS.sub(lambda m: m[0] if m["stamp"] else HIDDEN, text)


def _mask_apart(found: re.Match[str]) -> str:
    """Mask a list of short numbers that may be one number's digits."""
    return HIDDEN if sum(map(str.isdecimal, found[0])) >= 6 else found[0]
