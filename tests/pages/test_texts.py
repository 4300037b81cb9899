"""Every text of the pages and of messages is in every catalogue."""

import ast
import re
import sys

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from metrics.composition.figures import KPIS
from metrics.language.text import LOCALE
from pages.shared import i18n, names
from tests.support.processes import ROOT

PAGES = ROOT / "pages"
SPEAKING = (PAGES, ROOT / "notify", ROOT / "metrics" / "language")
"""Folders whose code has texts for people."""


def texts_in_code() -> set[str]:
    """Return every text that code passes to gettext, from the syntax tree."""
    texts: set[str] = set()
    for file in (file for folder in SPEAKING for file in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)
                if name in ("_", "gettext", "ngettext") and node.args and isinstance(node.args[0], ast.Constant):
                    texts.add(node.args[0].value)
    return texts


def test_pybabel_finds_every_text() -> None:
    """Pybabel misses a text inside an f-string, so no translator would see it."""
    options = {"_": None, "gettext": None, "ngettext": (1, 2)}
    extracted = [
        found
        for folder in SPEAKING
        for found in extract_from_dir(str(folder), method_map=[("**.py", "python")], keywords=options)
    ]
    ids = {message if isinstance(message, str) else message[0] for _, _, message, _, _ in extracted}
    assert ids == texts_in_code()


def test_every_language_but_the_source_language_has_a_catalogue() -> None:
    assert {folder.name for folder in LOCALE.iterdir() if folder.is_dir()} == {*i18n.LANGUAGES} - {i18n.SOURCE}
    english = i18n.text(i18n.SOURCE)
    assert all(english.gettext(source).replace("\N{NO-BREAK SPACE}", " ") == source for source in texts_in_code())


@pytest.mark.parametrize("language", sorted({*i18n.LANGUAGES} - {i18n.SOURCE}))
def test_nothing_is_missing_unused_or_fuzzy(language: str) -> None:
    with (LOCALE / language / "LC_MESSAGES" / "vigie.po").open("rb") as source:
        catalogue = read_po(source, locale=language, abort_invalid=True)
    assert not catalogue.obsolete
    messages = {m.id if isinstance(m.id, str) else m.id[0]: m for m in catalogue if m.id}
    assert set(messages) == texts_in_code()
    for english, message in messages.items():
        strings = (message.string,) if isinstance(message.string, str) else message.string
        assert not message.fuzzy and all(strings), english
        for string in strings:
            assert not re.search("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", string), "i18n adds these spaces"
            assert set(re.findall(r"{\w+}", string)) == set(re.findall(r"{\w+}", english)), english


def test_every_text_about_another_system_has_its_translations() -> None:
    texts = {printed.how for kpi in KPIS.values() for printed in kpi.elsewhere} | {"no public formula found"}
    assert texts <= texts_in_code()
    switches = {printed.system.partition(", ")[2] for kpi in KPIS.values() for printed in kpi.elsewhere} - {""}
    french = i18n.text("fr")
    assert all(names.system(f"X, {switch}", french) != f"X, {switch}" for switch in switches)


def test_no_page_is_named_like_a_standard_module() -> None:
    assert not {file.stem for file in PAGES.glob("*.py")} & sys.stdlib_module_names
