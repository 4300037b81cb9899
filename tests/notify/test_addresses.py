"""Addresses: which are refused, where the error points, and that secrets stay secret."""

from pathlib import Path

import pytest

from metrics.configuration.campaigns import load
from metrics.configuration.notification import LANGUAGES
from metrics.errors import ConfigurationError
from metrics.language import text
from notify.addresses import channels_of
from notify.errors import AddressError

SECRET = "hunter2-and-more"


def configuration(tmp_path: Path, notify: str) -> Path:
    path = tmp_path / "campaigns.toml"
    path.write_text(notify)
    return path


def test_a_group_speaks_a_language_of_the_pages() -> None:
    assert set(LANGUAGES) == set(text.LANGUAGES)


def test_a_group_has_a_channel_for_each_address_or_the_log(tmp_path: Path) -> None:
    path = configuration(
        tmp_path,
        """
[notify.floor]
name = "Floor managers"
language = "fr"
to = ["mailtos://user:${MAIL_PASSWORD}@mail.example?to=floor@example.org", "webhooks://hooks.example/v?secret=${HOOK}"]

[notify.boss]
""",
    )
    channels = channels_of(load(path), {"MAIL_PASSWORD": "p@ss/w:rd", "HOOK": "0123456789abcdef"})
    assert {name: channel.service for name, channel in channels.items()} == {
        "floor/1": "mailtos",
        "floor/2": "webhooks",
        "boss/log": "log",
    }


def test_a_whole_address_can_be_a_secret_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "slack").write_text("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#floor\n")
    path = configuration(tmp_path, '[notify.floor]\nto = ["${SLACK_ADDRESS}"]\n')
    channels = channels_of(load(path), {"SLACK_ADDRESS_FILE": str(tmp_path / "slack")})
    assert channels["floor/1"].service == "slack"


@pytest.mark.parametrize(
    ("to", "says"),
    [
        pytest.param('"carrier-pigeon://${S}"', "one that no service knows (carrier-pigeon://…)", id="no such service"),
        pytest.param('"slack://${S}"', "one that no service knows (slack://…)", id="a service, with too little"),
        pytest.param('"${S}"', "one that no service knows (…://…)", id="a secret that is no address"),
        pytest.param('"webhooks://h.example/x?secret=short"', "(webhooks://…)", id="a secret that can be guessed"),
        pytest.param('"webhooks:///x?secret=${S}"', "(webhooks://…)", id="no host"),
        pytest.param('"mailtos://u:${NOBODY_SET_IT}@h.example"', "needs the variable NOBODY_SET_IT", id="not set"),
        pytest.param('"mailtos://u:${IN_A_FILE}@h.example"', "cannot be read", id="a file that is not there"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, to: str, says: str) -> None:
    path = configuration(tmp_path, f'[notify.floor]\nlanguage = "es"\nto = ["json://localhost", {to}]\n')
    with pytest.raises(AddressError) as refused:
        channels_of(load(path), {"S": SECRET, "IN_A_FILE_FILE": str(tmp_path / "none")})
    message = str(refused.value)
    assert message.startswith(f"{path}, line 3: address 2 of the group `floor` ") and says in message
    assert SECRET not in message and message.endswith(".")


@pytest.mark.parametrize(
    ("notify", "says"),
    [
        pytest.param('to = "json://x"', "line 2: `to` is no list", id="no list"),
        pytest.param('to = ["hunter2-and-more"]', "line 2: address 1 of `to` has no service", id="no service"),
        pytest.param('to = ["json://${hunter2-and-more}"]', "a variable that is not closed", id="no variable"),
        pytest.param('language = "de"', 'line 2: `language` is "de", allowed is one of en, fr, es', id="language"),
        pytest.param('phone = "hunter2-and-more"', "unknown key `phone`", id="unknown key"),
    ],
)
def test_a_group_that_cannot_be_is_refused_on_load(tmp_path: Path, notify: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(configuration(tmp_path, f"[notify.floor]\n{notify}\n"))
    assert says in str(refused.value) and SECRET not in str(refused.value)
