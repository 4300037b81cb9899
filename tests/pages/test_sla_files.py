"""The downloads of the contract page: CSV, Excel and PDF are read back, and hold no other client's data."""

import csv
import io
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import Term
from metrics.readers import Period, Published, Sla
from metrics.readers.contract.sla import FirstContact
from pages.contract import downloads, first_contact, statement
from pages.shared import i18n
from pages.shared.i18n import DASH
from tests.support.published import call, campaign, publish
from tests.support.statements import read

KEY = b"a key for tests, as long as it takes"
OCTOBER = Period.month(date(2026, 10, 1))
CHANGE = datetime.fromisoformat("2026-10-06")
HOSTILE = '=cmd|"/c calc"!A1'
MARKUP = "<b>R&D</b>"


def october(path: Path, **options: Any) -> None:
    """Publish 1000 calls, 848 of them in time, over two days, queues and terms, and a canary of another client."""
    own = campaign(terms=(Term(None, CHANGE, threshold_s=30.0), Term(CHANGE, None, target=0.825)))
    calls = [
        call(
            of=own,
            wait=9 if n < 848 else 60,
            queued=f"2026-10-{5 + n % 2:02} {8 + n % 9:02}:10",
            queue=(HOSTILE, MARKUP)[n % 2],
            agent=f"agent {n % 7}",
            caller_key=f"caller {n % 990}",
        )
        for n in range(1000)
    ]
    calls += [call(of=campaign("canary"), queue="canary", queued="2026-10-05 09:00", agent="canary")] * 7
    publish(path, calls, campaigns=[own, campaign("canary")], **options).close()


@pytest.fixture
def month(tmp_path: Path) -> Sla:
    october(tmp_path / "v.duckdb")
    sla = readers.sla(
        Published(tmp_path / "v.duckdb"), Viewer("client", frozenset({"c"})), "c", OCTOBER, KEY, minutes=60
    )
    assert sla is not None
    return sla


@pytest.mark.parametrize(
    ("language", "separator", "level", "name"),
    [
        ("en", ",", "0.848", "October 2026"),
        ("fr", ";", "0,848", "octobre 2026"),
        ("es", ";", "0,848", "octubre de 2026"),
    ],
)
def test_csv_suits_the_spreadsheet_of_each_language(
    month: Sla, language: str, separator: str, level: str, name: str
) -> None:
    raw = downloads.as_csv(month, i18n.text(language))
    assert raw.startswith(b"\xef\xbb\xbf")
    head, *lines = csv.reader(io.StringIO(raw.decode("utf-8-sig")), delimiter=separator)
    assert len(set(head)) == len(head) and all(len(line) == len(head) for line in lines)
    total = lines[0]
    assert total[1] == name and total[2:5] == ["1000", "848", "152"] and level in total
    days = [line for line in lines if line[1].startswith("2026-10-")]
    assert len(days) == 27 and [line[1] for line in days if line[2] != "0"] == ["2026-10-05", "2026-10-06"]
    cells = dict(zip(head, total, strict=True))
    assert cells[i18n.text(language).gettext("Calls known since")] == "2026-10-05T08:10:00"
    assert cells[i18n.text(language).gettext("Days without a call")].endswith("31")
    assert any(line[1] == "'" + HOSTILE for line in lines)
    assert not any(cell.startswith(("=", "@", "+", "-")) for line in lines for cell in line)
    assert "canary" not in raw.decode() and "agent 3" not in raw.decode()


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_the_workbook_holds_numbers_dates_and_plain_text(month: Sla, language: str) -> None:
    text = i18n.text(language)
    book = load_workbook(io.BytesIO(downloads.as_excel(month, text)))
    names = [text.gettext(name) for name in ("Summary", "Period", "Contract", "By day", "By queue", "By time of day")]
    assert book.sheetnames == [*names, text.gettext("Agents"), text.gettext("First-contact resolution")]
    summary = {row[0]: row[1] for row in book[names[0]].iter_rows(values_only=True) if row[0]}
    assert summary[text.gettext("Service level")] == 0.848
    assert summary[text.gettext("Data as of")] == datetime.fromisoformat("2026-11-24 12:00")
    assert summary[text.gettext("Calls known since")] == datetime.fromisoformat("2026-10-05 08:10")
    assert str(summary[text.gettext("Days without a call")]).endswith("31")
    days = list(book[names[3]].iter_rows(min_row=2, values_only=True))
    assert [(row[0], row[1]) for row in days if row[1]] == [
        (datetime.fromisoformat("2026-10-05"), 500),
        (datetime.fromisoformat("2026-10-06"), 500),
    ]
    queues = {cell.value: cell.data_type for (cell,) in book[names[4]].iter_rows(min_row=2, max_col=1)}
    assert queues == {HOSTILE: "s", MARKUP: "s"}
    assert [row[4] for row in book[names[2]].iter_rows(min_row=2, values_only=True)] == [0.8, 0.825]
    contacts = next(book[book.sheetnames[-1]].iter_rows(min_row=2, min_col=2, values_only=True))
    assert contacts == (7, 1000, 0, 990, 0.99, 990, 10, 0)
    assert not any("canary" in str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row)


def test_the_page_says_how_many_callers_did_not_have_to_call_again(month: Sla) -> None:
    assert first_contact.words(month, i18n.text("en")) == (
        "Contacts resolved at the first: 99.0% (990 of 1,000). A contact is resolved if the caller does not call again "
        "within 7 days. Callers: 990; more than once: 10."
    )
    of = FirstContact(1, contacts=4, unknown=2, pending=4, decided=0, resolved=0, fcr=None, callers=4, repeat_callers=0)
    words = first_contact.words(replace(month, first_contact=of), i18n.text("fr"))
    assert f"{DASH} (0 sur 0)" in words and "sous 1 jour." in words
    assert "Trop récents pour être comptés\u00a0: 4." in words and words.endswith("Sans numéro d’appelant\u00a0: 2.")


def test_a_control_character_in_a_name_is_removed_from_a_workbook(tmp_path: Path) -> None:
    publish(tmp_path / "v.duckdb", [call(queue="a\x07b", queued="2026-10-05 10:00")]).close()
    sla = readers.sla(Published(tmp_path / "v.duckdb"), Viewer("manager", None), "c", OCTOBER, KEY)
    assert sla is not None
    book = load_workbook(io.BytesIO(downloads.as_excel(sla, i18n.text("en"))))
    assert book["By queue"]["A2"].value == "ab"
    assert "ab" in read(statement.as_pdf(sla, i18n.text("en"))).replace("a b", "ab")


def test_a_name_of_thousands_of_characters_is_cut_in_a_statement(tmp_path: Path) -> None:
    """An older Vigie took names of any length. A row that is higher than a page cannot be printed."""
    publish(tmp_path / "v.duckdb", [call(queue="endless " * 625, queued="2026-10-05 10:00")]).close()
    sla = readers.sla(Published(tmp_path / "v.duckdb"), Viewer("manager", None), "c", OCTOBER, KEY)
    assert sla is not None
    pdf = statement.as_pdf(sla, i18n.text("en"))
    assert 1 <= read(pdf).count("endless") <= 10
    assert len(PdfReader(io.BytesIO(pdf)).pages) <= 3


def _face(font: Any) -> str:
    return str(font["/BaseFont"]) if font else "none"


@pytest.mark.parametrize(
    ("language", "parts"),
    [
        (
            "en",
            "Service level statement|October 2026 (01/10/2026 to 31/10/2026, UTC)|84.8%|On target, +3.5 pts"
            "|October reached 81.25%, with 35 calls to spare|up to and including 5 Oct 2026|wait ≤ 30 s"
            "|from 6 Oct 2026 on|82.5%"
            "|What the figures mean|Offered 1,000 = Answered 1,000 + Abandoned 0|Seen and agreed|Signature"
            "|For the client, client|Page 1 of |No calls are known before 05/10/2026 08:10: 4 of 31 days are missing"
            "|Days without a call: Wed 7 – Sat 31.|No data|Data as of 24/11/2026 12:00:00, UTC"
            "|First-contact resolution Contacts resolved at the first: 99.0% (990 of 1,000)."
            "|does not call again within 7 days. Callers: 990; more than once: 10.",
        ),
        (
            "fr",
            "Relevé de niveau de service|octobre 2026 (du 01/10/2026 au 31/10/2026, UTC)|84,8 %|Objectif tenu"
            "|Octobre a atteint 81,25 %, avec 35 appels de marge|décrochés à temps|Définitif : seul un événement"
            "|Aucun appel n’est connu avant le 05/10/2026 08:10 : il manque 4 jours sur 31|Jours sans appel : mer. 7"
            "|Aucune donnée|Présentés 1 000 = Décrochés 1 000 + Abandonnés 0|Lu et approuvé|Pour le client, client"
            "|Page 1 sur |Résolution au premier contact Contacts résolus du premier coup : 99,0 % (990 sur 1 000)."
            "|ne rappelle pas sous 7 jours. Appelants : 990 ; plus d’une fois : 10.",
        ),
        (
            "es",
            "Informe de nivel de servicio|octubre de 2026 (del 01/10/2026 al 31/10/2026, UTC)|84,8 %"
            "|No constan llamadas anteriores al 05/10/2026 08:10: faltan 4 días de 31|Días sin llamadas: mié 7"
            "|Sin datos|Octubre alcanzó el 81,25 %, con 35 llamadas de margen|Leído y conforme|Página 1 de "
            "|Resolución al primer contacto Contactos resueltos a la primera: 99,0 % (990 de 1.000)."
            "|no vuelve a llamar en 7 días. Personas que llamaron: 990; más de una vez: 10.",
        ),
    ],
)
def test_the_statement_holds_all_that_is_signed(month: Sla, language: str, parts: str) -> None:
    pdf = statement.as_pdf(month, i18n.text(language))
    text = read(pdf).replace("\u00a0", " ").replace("\u202f", " ")
    for part in parts.split("|"):
        assert part in text, part
    assert f"{month.contract}" in text and HOSTILE in text and MARKUP in text
    assert "canary" not in text and "agent 3" not in text
    reader = PdfReader(io.BytesIO(pdf))
    fonts = set()
    for page in reader.pages:
        page.extract_text(
            visitor_text=lambda drawn, _cm, _tm, font, _size: fonts.add(_face(font)) if drawn.strip() else None
        )
    assert {name.rpartition("-")[0] for name in fonts} == {"/AAAAAA+SourceSansPro"}  # embedded, so never replaced
    assert not any(page.images for page in reader.pages)  # charts are vector drawings
    assert pdf == statement.as_pdf(month, i18n.text(language))


@pytest.mark.parametrize("period", [OCTOBER, Period.day(date(2026, 10, 5))])
def test_an_empty_period_can_be_downloaded(tmp_path: Path, period: Period) -> None:
    publish(tmp_path / "v.duckdb", []).close()
    sla = readers.sla(Published(tmp_path / "v.duckdb"), Viewer("manager", None), "c", period, KEY)
    assert sla is not None
    text = i18n.text("fr")
    assert "–" in read(statement.as_pdf(sla, text)) and downloads.as_csv(sla, text) and downloads.as_excel(sla, text)
