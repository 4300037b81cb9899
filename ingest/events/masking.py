"""Private data is hidden before a rejected line is kept: names, numbers, e-mail addresses, IBANs.

A rejected line may be anything, so more is hidden than necessary. In JSON, text stays only in fields that the contract
knows, because no other field can be why a line was rejected: in an unknown field, or in one for names and numbers, all
of it is hidden. Wherever text stays, and in lines that are no JSON, whatever looks private is hidden: six digits with
anything but letters between them, an e-mail address, an IBAN, words that look like a person's name.

Not masked: timestamps, and the ids that are published anyway (of calls, agents, campaigns), unless they look private.
"""

import json
import re

HIDDEN = "•••"
SHORTEST_PRIVATE = 3
"""Shorter texts, such as what is between two strings of JSON, have nothing to hide: the least is an address, a@b."""
NUMBER_FIELDS = frozenset({"caller", "callee", "to_number"})
PRIVATE_FIELDS = NUMBER_FIELDS | {"name"}
IDENTITIES = frozenset(
    {"event_id", "call_id", "linked_id", "agent", "to_agent", "campaign", "queue", "to_queue", "source", "type"}
)
INSTANTS = frozenset({"ts", "asked_for_human_at"})
#: The other fields of the contract. Any of them may hold text, which may be why the line was rejected.
WORDS = frozenset(
    {"direction", "channel", "language", "languages", "list", "consent", "answered_by", "reason", "ended_by", "line"}
    | {"disposition", "currency", "state", "queues", "team", "site", "hired_on", "revision", "priority", "lasts_s"}
    | {"wait_unknown", "warm", "sale", "amount", "score", "hourly_cost"}
)
#: Fields of other systems, for lines that are no JSON.
FOREIGN_FIELDS = (
    r"(?:first|last|full|sur|caller|client|customer|contact)?[ _-]?names?|nom|pr[eé]nom|nombre|apellidos?|customer"
    r"|contact|e-?mail|mail|correo|(?:tele)?phone|tel|mobile|iban|address|adresse|direcci[oó]n"
)

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_COLON = re.compile(r"\s*:\s*")
_DATE = r"(?:(?:19|20)\d\d-\d\d-\d\d|\d{4}-\d\d-\d\d(?=[Tt]))"
_CLOCK = r"[0-2]\d:[0-5]\d(?::[0-6]\d(?:\.\d{1,9})?)?(?:[Zz]|[+-][0-2]\d:?[0-5]\d)?"
_STAMP = rf"(?<!\d){_DATE}(?:[Tt ]{_CLOCK})?(?![\d-])"
_DIGITS = rf"[+(]?\d(?:[^\w,;\n]|_)*+(?!{_STAMP})\d(?:(?:[^\w,;\n]|_)*+(?!{_STAMP})\d){{4,}}"
_STAMP_OR_DIGITS = re.compile(rf"(?P<stamp>{_STAMP})|{_DIGITS}")
_DIGITS_APART = re.compile(r"""["']?\d{1,4}["']?(?:[\s,;]+["']?\d{1,4}["']?){2,}""")
_LIKE_A_NUMBER = re.compile(r"(?:[a-z]+:)?[+0(](?:[\W_]*\d){6,}[\W_]*", re.IGNORECASE)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:?\d\d)?")  # may not exist
_SINCE_1970 = re.compile(r"1\d{9}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?![\d\w])")
_EMAIL = re.compile(r"(?<![\w.+%'-])[\w.+%'-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*")
_IBAN = re.compile(
    r"(?<![^\W_])[a-z]{2}\d{2}(?:[\W_]{0,4}[a-z0-9]{4}){2,7}(?:[\W_]{0,4}[a-z0-9]{1,4})?(?![^\W_])", re.IGNORECASE
)
_UPPER, _LOWER = "A-ZÀ-ÖØ-ÞĀ-ſ", "a-zß-öø-ÿĀ-ſ"
_FORENAME = rf"[{_UPPER}][{_LOWER}]+(?:['’-][{_UPPER}]?[{_LOWER}]+)*"
_SURNAME = rf"(?:[{_UPPER}]['’])?(?:{_FORENAME}|[{_UPPER}]{{2,}}(?:-[{_UPPER}]{{2,}})*)"
_OF = r"(?:(?:d|l)['’]|(?:(?:de|del|la|las|los|le|du|des|da|di|dos|van|von|der|den|bin|ben|ibn|el|al)[ \t]+){1,3})?"
_NO_NAME = r"(?!(?:The|An?|No|Not|Neither|It|This|That|Two|Only|Of|In|On|For|From|Empty|Unknown)\b)"
_BETWEEN = r"(?:[ \t\u00a0_]+|,[ \t]*)"
_NAME = re.compile(
    rf"(?<!\w){_NO_NAME}{_FORENAME}(?:{_BETWEEN}{_OF}{_SURNAME})+(?!\w)"
    rf"|(?<!\w)[{_UPPER}]{{2,}}(?:-[{_UPPER}]{{2,}})*(?:{_BETWEEN}{_FORENAME})+(?!\w)"
    rf"|(?<!\w)(?:(?i:mrs?|ms|mme|mlle|dr|sra?|srta|monsieur|madame|señora?|doña)\b\.?|M\.)[ \t]+{_OF}[^\W\d_][\w'’-]+"
)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
#: Fields in text that is not JSON: unmatched quotes, Python dicts, logs.
_LOOSE_FIELD = re.compile(
    rf"""\b({"|".join(sorted(PRIVATE_FIELDS))}|{FOREIGN_FIELDS})"""
    r"""(["'\\]{0,3}\s*[:=]\s*["'\\]{0,3})([^"'\\,}\n]+)""",
    re.IGNORECASE,
)
_QUOTED_FIELD = re.compile(r"('([^'\n]*)'\s*:\s*)'[^'\n]*'")
_REFUSED_VALUE = re.compile(r"(?<=value )'(.*)'", re.DOTALL)
_EVENT_TYPE = re.compile(r"(?:call|agent)\.[a-z_]{1,32}")
_decoded = json.JSONDecoder(strict=False).decode  # json.loads makes a decoder each time it is told not to be strict
_QUOTED = re.compile(r"""(?<!\w)'[^'\n]*'(?!\w)|"[^"\n]*"|«[^»\n]*»|“[^”\n]*”""")


def mask_payload(text: str) -> str:
    """Mask what is, or may be, private in a line that broke the contract."""
    parts = []
    at = 0
    field: str | None = None  # whose value a string is; None: of no field, in a text; "": of no field that is known
    while token := _STRING.search(text, at):
        gap = text[at : token.start()]
        if any(bracket in gap for bracket in "{}]") or (field is None and "[" in gap):
            field = ""
        parts.append(mask_text(gap))
        at = token.end()
        if colon := _COLON.match(text, at):
            at = colon.end()
            field = _text_of(token.group()).casefold()
            value, masked = _field(field, text, at)
            parts += [_mask_string(token.group()), colon.group(), masked]
            at += len(value)
        elif field is None or field in IDENTITIES | INSTANTS | WORDS:
            parts.append(_mask_string(token.group()))
        else:
            parts.append(_hide_string(token.group()))
    parts.append(mask_text(text[at:]))
    masked_text = _DIGITS_APART.sub(_mask_apart, "".join(parts))
    masked_text = _QUOTED_FIELD.sub(_mask_quoted_field, masked_text)
    return _LOOSE_FIELD.sub(lambda m: m[0] if m[3].strip() == "null" else m[1] + m[2] + HIDDEN, masked_text)


def mask_text(text: str) -> str:
    """Mask what looks private in any text."""
    if len(text) < SHORTEST_PRIVATE:
        return text
    text = _IBAN.sub(_mask_iban, _EMAIL.sub(HIDDEN, text))
    return _NAME.sub(HIDDEN, _STAMP_OR_DIGITS.sub(_mask_digits, text))


def mask_value(value: object) -> object:
    """Mask what may be a phone number, an e-mail address or an IBAN in a value of JSON; other words stay."""
    match value:
        case str():
            hidden = _STAMP_OR_DIGITS.sub(_mask_digits, _IBAN.sub(_mask_iban, _EMAIL.sub(HIDDEN, value)))
            return _DIGITS_APART.sub(_mask_apart, hidden)
        case int() | float() if value == int(value) and len(str(abs(int(value)))) >= 6:
            return HIDDEN
        case list():
            return HIDDEN if _are_digits_apart(value) else [mask_value(item) for item in value]
        case dict():
            return {
                mask_value(name): HIDDEN if name.casefold() in PRIVATE_FIELDS and item is not None else mask_value(item)
                for name, item in value.items()
            }
    return value


def mask_reason(reason: str) -> str:
    """Mask the value that a reason of msgspec's quotes, unless it is like the type of an event."""
    return _REFUSED_VALUE.sub(lambda m: m[0] if _EVENT_TYPE.fullmatch(m[1]) else f"'{HIDDEN}'", reason)


def mask_source_reason(reason: str) -> str:
    """Mask what looks private in the reason of a source, and whatever it quotes."""
    return _DIGITS_APART.sub(_mask_apart, mask_text(_QUOTED.sub(HIDDEN, reason)))


def _field(name: str, text: str, start: int) -> tuple[str, str]:
    """The field's value, which begins at `start`, and its masked form; both empty when no rule for fields applies."""
    string = _STRING.match(text, start)
    if name in PRIVATE_FIELDS:
        value = string.group() if string else text[start : _end(text, start)]
        return value, value if value.strip() == "null" else f'"{HIDDEN}"' if string else HIDDEN
    if name in IDENTITIES and string:
        content = _text_of(string.group()).strip()
        if not any(private.search(content) for private in (_EMAIL, _IBAN)) and not _LIKE_A_NUMBER.fullmatch(content):
            return string.group(), string.group()
    if name in INSTANTS and string and _INSTANT.fullmatch(_text_of(string.group())):
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
        return str(_decoded(token))
    except ValueError:
        return _unescaped(token).strip('"')


def _mask_string(token: str) -> str:
    """Mask a string, which may contain what is private as escapes, or JSON."""
    try:
        content = _decoded(token)
    except ValueError:
        plain = _unescaped(token)
        hidden = mask_text(plain)
        return token if hidden == plain else hidden
    return _written(token, content, mask_payload(content) if '"' in content else mask_text(content))


def _hide_string(token: str) -> str:
    """Hide a string with letters or digits in it. Of JSON in a string, what stays is what stays of JSON."""
    try:
        content = _decoded(token)
    except ValueError:
        return f'"{HIDDEN}"' if any(map(str.isalnum, token)) else token
    if content.lstrip()[:2] in ('{"', '["', "[{"):
        return _written(token, content, mask_payload(content))
    return f'"{HIDDEN}"' if any(map(str.isalnum, content)) else token


def _written(token: str, content: str, hidden: str) -> str:
    return token if hidden == content else json.dumps(hidden, ensure_ascii=False).encode(errors="replace").decode()


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text).encode(errors="replace").decode()


def _mask_digits(found: re.Match[str]) -> str:
    return found[0] if found["stamp"] else HIDDEN


def _mask_apart(numbers: re.Match[str]) -> str:
    """Mask a list of short numbers that may be the digits of one phone number."""
    return HIDDEN if sum(map(str.isdecimal, numbers[0])) >= 6 else numbers[0]


def _are_digits_apart(values: list[object]) -> bool:
    """Whether the items of a list may be the digits of one phone number. Lists in it are looked at one by one."""
    if any(isinstance(value, list | dict) for value in values):
        return False
    apart = _DIGITS_APART.fullmatch(json.dumps(values)[1:-1])
    return apart is not None and _mask_apart(apart) == HIDDEN


def _mask_iban(iban: re.Match[str]) -> str:
    """Mask an IBAN. Words of a sentence may have its form, but not as many digits."""
    return HIDDEN if sum(map(str.isdecimal, iban[0])) >= 6 else iban[0]


def _mask_quoted_field(field: re.Match[str]) -> str:
    """Mask a field of a Python dict that the contract does not know."""
    known = field[2].casefold() in IDENTITIES | INSTANTS | WORDS
    return field[0] if known else f"{field[1]}'{HIDDEN}'"
