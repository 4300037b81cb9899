"""`--propose FILE`: a mapping read from the beginning of a list, for a person to correct.

It repeats the names of columns, and the words of columns that have few, such as outcomes. It repeats no other cell.
"""

import codecs
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence

from ingest.errors import UsageError
from ingest.sources.call_list import vocabulary
from ingest.sources.call_list.calls import CallList, Row
from ingest.sources.call_list.mapping import FIELDS, INSTANTS, VOCABULARIES, Mapping, parsed
from ingest.sources.call_list.quantities import seconds
from ingest.sources.call_list.rows import rows
from ingest.sources.call_list.sample import SAMPLE, Sample, are_days, are_times_of_day, decimal_of, form_of, look
from ingest.sources.events import Rejected, Unreadable
from ingest.sources.input.never import is_never
from ingest.sources.input.text import marked

MOST_WORDS = 20  # a column with more different words does not have outcomes
ZONES = {"fr": "Europe/Paris", "es": "Europe/Madrid", "en": "Europe/London"}
MAY_NAME = re.compile(r"\d{4}|@")  # a number, an address: no outcome
LANGUAGES = {
    "fr": {
        "appel",
        "heure",
        "file",
        "attente",
        "duree",
        "numero",
        "statut",
        "resultat",
        "appelant",
        "debut",
        "campagne",
    },
    "es": {"llamada", "fecha", "hora", "cola", "espera", "duracion", "estado", "resultado", "agente", "inicio"},
}
NEEDED = ("call_id", "queued_at")
NUMBER = re.compile(r"\d[\d\s.,]*")
LONG_S = 4 * 3600.0  # times of day are longer after midnight than durations of calls


def proposed(data: bytes, name: str) -> str:
    """The text of a mapping (TOML) for the list that begins with `data`; raises UsageError for an empty list."""
    sample = look(data)
    has_header = bool(sample.header)
    if not sample.rows:
        raise UsageError(f"{name} has no rows of calls; name a list with a header and some calls with --propose.")
    header = sample.header or [f"column {number}" for number in range(1, len(sample.rows[0]) + 1)]
    sample = Sample(sample.encoding, sample.format, sample.delimiter, header, sample.rows)
    text = "\n".join(_lines(sample, has_header)) + "\n"
    return text + _outlook(text, data, sample)


def advice(data: bytes, mapping: Mapping, reason: str) -> str:
    """What to do about a list whose rows fail for one reason, as a part of a sentence."""
    sample = look(data)
    settings = _settings(sample, data, mapping, reason)
    if settings:
        return (
            "the list itself shows "
            + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())
            + (" for [file]")
        )
    return "`python -m ingest source map --propose FILE` makes a mapping for a list"


def headless(data: bytes) -> str | None:
    """What to do about a list that has no header, as a sentence; None if it seems to have one."""
    sample = look(data)
    if sample.format != "csv" or sample.header or not sample.rows:
        return None
    return (
        "The list has no header, because its first line is a call already; write a line before it that names its"
        f" {len(sample.rows[0])} columns, as [columns] calls them."
    )


def _settings(sample: Sample, data: bytes, mapping: Mapping, reason: str) -> dict[str, str]:
    """The settings of [file] that the list shows to be others."""
    told: dict[str, str] = {}
    if sample.format != mapping.file.format:
        told["format"] = sample.format
    elif sample.format == "csv" and sample.delimiter != mapping.file.delimiter and sample.header:
        told["delimiter"] = sample.delimiter
    if marked(data) is None and not _is_encoded(data, mapping.file.encoding):
        told["encoding"] = sample.encoding
    field = reason.partition(":")[0]
    if told or field not in FIELDS:
        return told
    texts = _joined(sample, mapping.names(field))
    if "not a time" in reason and (form := form_of(texts)):
        told["instants"] = form[0]
    if "decimal" in reason or "number" in reason:
        told |= {"decimal": decimal} if (decimal := decimal_of(texts)) else {}
    return told


def _is_encoded(data: bytes, encoding: str) -> bool:
    try:
        text = data[: len(data) // 4 * 4].decode(encoding, "strict")
    except UnicodeDecodeError as error:
        return error.end >= len(data) - 4  # the sample may end within a character
    except LookupError:
        return False
    return "\0" not in text


def _lines(sample: Sample, has_header: bool) -> list[str]:
    columns = vocabulary.columns(sample.header, lambda field, name: _may_be(sample, field, name)) if has_header else {}
    unit, left_out = _unit(sample, columns)
    columns = {field: name for field, name in columns.items() if name not in left_out}
    times, form, notes = _times(sample, columns)
    language = _language(sample.header)
    fields = {**{field: columns[field] for field in FIELDS if field in columns and field not in INSTANTS}, **times}
    file = [f"delimiter = {_quoted(sample.delimiter)}"] if sample.format == "csv" else ['format = "json"']
    if sample.encoding not in ("utf-8", "utf-8-sig"):
        file.append(f"encoding = {_quoted(sample.encoding)}")
    if form != "epoch":
        file.append(f'timezone = "{ZONES[language]}" # of times without an offset: is this the zone of the list?')
    file.append(f"instants = {_quoted(form)}" + (f" # {notes}" if notes else ""))
    numbers = [text for field in ("wait_s", "talk_s", "amount", "score") if field in columns
               for text in sample.column(columns[field])]  # fmt: skip
    if unit:
        file.append(f"durations = {_quoted(unit)}")
    if (decimal := decimal_of(numbers)) and sample.format == "csv":
        file.append(f"decimal = {_quoted(decimal)}")
    lines = [
        "# A proposal, read from the beginning of the list: correct it. docs/sources.md says what each line means."
    ]
    if not has_header:
        names = sample.delimiter.join(sample.header)
        lines += ["# The list has no header. Write this line before it, or better one with the names of its columns:"]
        lines += [f"# {names}"]
    lines += ["", "[file]", *file, "", "[columns] # field = column of the list"]
    lines += [f"{field} = {_quoted_all(fields[field])}" for field in FIELDS if field in fields]
    lines += [f'{field} = "" # name the column' for field in NEEDED if field not in fields]
    used = {column for value in fields.values() for column in ([value] if isinstance(value, str) else value)}
    if left_out:
        lines.append(f"# left out, because their unit is another: {', '.join(map(_quoted, left_out))}")
    if unused := [column for column in sample.header if column not in used and column not in left_out]:
        lines.append(f"# not used: {', '.join(map(_quoted, unused))}")
    if not {"campaign", "queue"} & fields.keys():
        lines += ["", "[fixed] # no column seems to have it", 'campaign = "my-campaign" # name it']
    for field in VOCABULARIES:
        if isinstance(column := fields.get(field), str):
            lines += _words(field, sample.column(column), _is_outbound(sample, columns))
    return lines


def _unit(sample: Sample, columns: dict[str, str]) -> tuple[str | None, list[str]]:
    """The unit of the durations that are plain numbers, None for seconds; and the columns with another unit."""
    named = [
        (name, vocabulary.unit_of(name) or ("days" if are_days(texts) else "seconds"))
        for field, name in columns.items()
        if field.endswith("_s") and (texts := sample.column(name)) and all(map(NUMBER.fullmatch, texts))
    ]
    if not named:
        return None, []
    units = Counter(unit for name, unit in named if set(sample.column(name)) != {"0"}) or Counter([named[0][1]])
    unit = units.most_common(1)[0][0]
    left_out = [name for name, of_column in named if of_column != unit]
    return None if unit == "seconds" else unit, left_out


def _may_be(sample: Sample, field: str, name: str) -> bool:
    """Whether the cells of a column are times where the field is a time, and none where it is not."""
    texts = sample.column(name)
    are_times = are_times_of_day(texts) or form_of(texts) is not None
    if field in INSTANTS or field in ("date", "time"):
        return are_times or all(map(is_never, texts))
    if field.endswith("_s"):
        return not are_times_of_day(texts) or _are_durations(texts)
    return field not in VOCABULARIES or not are_times


def _are_durations(texts: Sequence[str]) -> bool:
    """Whether cells of the form h:mm:ss are durations, and not times of day."""
    try:
        lengths = sorted(seconds("", text) or 0.0 for text in texts)
    except Unreadable:
        return False
    return not lengths or lengths[len(lengths) // 2] <= LONG_S


def _times(sample: Sample, columns: dict[str, str]) -> tuple[dict[str, str | list[str]], str, str]:
    """The columns of the times, their format, and what is to be said about it."""
    date, time = columns.get("date"), columns.get("time")
    begins = columns.get("queued_at")
    if begins and date and are_times_of_day(sample.column(begins)):
        time = begins
    times: dict[str, str | list[str]] = {}
    if date and time:
        times["queued_at"] = [date, time]
    elif begins or date or time:
        times["queued_at"] = begins or date or time or ""
    times |= {field: columns[field] for field in INSTANTS[1:] if field in columns}
    names = times.get("queued_at", [])
    form = form_of(_joined(sample, [names] if isinstance(names, str) else names))
    if form is None and date:
        form = form_of(sample.column(date))  # its times are in another form, such as fractions of a day
    if form is None:
        return times, "iso", "in what format are its times?"
    return times, form[0], "" if form[1] else "the list does not show whether the day or the month comes first"


def _joined(sample: Sample, names: Sequence[str]) -> list[str]:
    """The texts of a field's columns, joined as a row's are; none if the list lacks a column."""
    if not names or not set(names) <= set(sample.header):
        return []
    places = [sample.header.index(name) for name in names]
    return [" ".join(row[place].strip() for place in places) for row in sample.rows if len(row) > max(places)]


def _is_outbound(sample: Sample, columns: dict[str, str]) -> bool:
    """Whether all calls are outbound."""
    texts = sample.column(columns["direction"]) if "direction" in columns else []
    return bool(texts) and all(vocabulary.meaning("direction", text) == "outbound" for text in texts)


def _words(field: str, texts: Sequence[str], is_outbound: bool) -> list[str]:
    counted = Counter(texts)
    if len(counted) > MOST_WORDS or any(map(MAY_NAME.search, counted)):
        return []
    if {text.casefold() for text in counted} <= set(VOCABULARIES[field]):
        return []
    lines = ["", f"[words.{field}] # the list's word = one of {', '.join(_allowed(field))}"]
    for word, _ in counted.most_common():
        meaning = vocabulary.meaning(field, word)
        if field == "outcome" and is_outbound and meaning == "abandoned" and "answer" in word.casefold():
            meaning = "no_answer"
        # a word that is not listed makes a dead letter
        lines.append(f"# {_quoted(word)} =" if meaning is None else f"{_quoted(word)} = {json.dumps(meaning)}")
    return lines


def _allowed(field: str) -> list[str]:
    return [str(word).lower() for word in VOCABULARIES[field]]


def _language(header: Sequence[str]) -> str:
    words = {word for name in header for word in vocabulary.simple(name).split()}
    counts = {language: len(words & known) for language, known in LANGUAGES.items()}
    language = max(counts, key=lambda each: counts[each])
    return language if counts[language] else "en"


def _outlook(text: str, data: bytes, sample: Sample) -> str:
    """How many of the first rows become calls by the proposal, as a comment."""
    try:
        mapping = parsed(tomllib.loads(text), "the proposal")
    except (UsageError, tomllib.TOMLDecodeError):
        return '\n# Complete the lines that end in "name the column", then try it with --print.\n'
    calls, read, reasons = CallList("list", mapping, 1), 0, Counter[str]()
    try:
        for row in _rows(data, sample, mapping):
            read += 1
            try:
                if isinstance(row, Rejected):
                    raise Unreadable(row.reason)
                calls.events(row)
            except Unreadable as unreadable:
                reasons[str(unreadable)] += 1
    except UsageError as error:
        return f"\n# With this mapping the list cannot be read yet: {error}\n"
    lines = [f"\n# With this mapping {read - reasons.total()} of the first {read} rows become calls."]
    lines += [f"# {count}: {reason}" for reason, count in reasons.most_common(5)]
    return "\n".join(lines) + "\n"


def _rows(data: bytes, sample: Sample, mapping: Mapping) -> Iterator[Row | Rejected]:
    """The rows that are complete in the sample."""
    if sample.format == "json":
        for cells in sample.rows:
            yield dict(zip(sample.header, cells, strict=True)).get
        return
    text = data.decode(sample.encoding, "ignore")
    if len(data) >= SAMPLE:
        text = text[: text.rfind("\n") + 1]
    for row, _ in rows([codecs.BOM_UTF8, text.encode()], mapping):
        yield row


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _quoted_all(names: str | list[str]) -> str:
    return _quoted(names) if isinstance(names, str) else f"[{', '.join(map(_quoted, names))}]"
