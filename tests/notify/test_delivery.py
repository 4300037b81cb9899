"""`python -m notify` as a process: a real SMTP server with TLS, a real HTTP receiver, kills, and a dead consumer."""

import base64
import hashlib
import hmac
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from metrics import clock
from metrics.authorisation.viewer import Viewer
from metrics.readers import Published, alerts
from notify.desk import Desk
from tests.support.floor_file import alert, publish
from tests.support.processes import ROOT, environment, wait_for
from tests.support.servers.mail_server import MailServer, running_mail_server
from tests.support.servers.receiver import SECRET, Receiver, running_receiver

pytestmark = pytest.mark.slow

FLOOR = {"loans": ("Alba", "Loans", "Europe/Paris"), "cards": ("Birch", "Cards", "UTC")}
MANAGER = Viewer("manager", None, "marie")


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    with running_mail_server(tmp_path) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


class Place:
    """A published file, a configuration and a desk, for notify to work with."""

    def __init__(self, folder: Path, to: list[str], **variables: str) -> None:
        self.folder, self.variables = folder, variables
        self.campaigns = folder / "campaigns.toml"
        self.configure(to)
        self.desk = Desk(folder / "desk")

    def configure(self, to: list[str], language: str = "en") -> None:
        clients = '[clients.alba]\n[campaigns.loans]\nclient = "alba"\nname = "Loans"\ntimezone = "Europe/Paris"\n'
        listed = ", ".join(f'"{address}"' for address in to)
        new = self.campaigns.with_suffix(".new")
        new.write_text(f'{clients}[notify.floor]\nlanguage = "{language}"\nto = [{listed}]\n')
        os.replace(new, self.campaigns)

    def publish(self, *rows: dict[str, Any], published_s_ago: float = 0) -> None:
        now = clock.now() - timedelta(seconds=published_s_ago)
        publish(self.folder / "published" / "vigie.duckdb", campaigns=FLOOR, as_of=now, alerts=list(rows))

    def fires(self, campaign: str = "loans", **columns: Any) -> dict[str, Any]:
        now = clock.now()
        return alert("waiting", now, campaign=campaign, **{"began_at": now, "fired_at": now, "worst_at": now} | columns)

    def command(self, *arguments: str) -> list[str]:
        ignored = ("-Wignore:'imghdr' is deprecated:DeprecationWarning",)
        return [sys.executable, "-W", "error", *ignored, "-m", "notify", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "VIGIE_DATA_DIR": str(self.folder),
            "VIGIE_CAMPAIGNS": str(self.campaigns),
            "VIGIE_DESK_DIR": str(self.desk.path.parent),
            "VIGIE_URL": "https://vigie.example",
            "HOOK_SECRET": SECRET,
        }
        return environment(**own, **self.variables)

    @property
    def log(self) -> str:
        return (self.folder / "notify.log").read_text()

    @contextmanager
    def running(self) -> "Iterator[subprocess.Popen[bytes]]":
        with (self.folder / "notify.log").open("ab") as log:
            process = subprocess.Popen(
                self.command("run"), cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                wait_for(lambda: "delivering to" in self.log, "notify to start")
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                process.wait(30)

    def once(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )


def is_signed(receiver: Receiver, n: int = 0) -> bool:
    """Check a signature as the receiver's documentation says, and not with the code that made it."""
    request = receiver.requests[n]
    content = b".".join(
        (request.headers["webhook-id"].encode(), request.headers["webhook-timestamp"].encode(), request.payload)
    )
    signature = base64.b64encode(hmac.new(SECRET.encode(), content, hashlib.sha256).digest()).decode()
    return request.headers["webhook-signature"] == f"v1,{signature}"


def test_an_alert_comes_by_mail_with_tls_and_by_signed_webhook(
    tmp_path: Path, mail: MailServer, receiver: Receiver
) -> None:
    place = Place(tmp_path, [mail.address(), receiver.address], **mail.environment)
    place.publish()
    with place.running():
        fired = place.fires(calls=12)
        place.publish(fired)
        wait_for(lambda: mail.mails and receiver.requests, "the alert")
        place.publish(fired | {"ended_at": clock.now(), "end_reason": "recovered", "value": 1.0})
        wait_for(lambda: len(mail.mails) == len(receiver.requests) == 2, "the end")
    first, last = mail.mails
    assert first["Subject"] == "Warning: callers waiting above 2 · Loans" and first["To"] == "floor@example.org"
    assert last["Subject"] == "Over: callers waiting above 2 · Loans"
    body = first.get_body(("plain", "html")).get_content()  # type: ignore[union-attr]
    assert "Loans: 3 since" in body and "https://vigie.example/campaign?campaign=loans" in body
    assert is_signed(receiver, 0) and is_signed(receiver, 1)
    message = receiver.requests[0].message
    assert (message["kind"], message["rule"], message["alerts"][0]["campaign"]) == ("fired", "waiting", "loans")
    assert message["id"] == receiver.ids()[0] != receiver.ids()[1]
    for secret in (SECRET, *mail.environment.values()):
        assert secret not in place.log or secret == str(mail.certificate)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_between_firing_and_delivery_loses_nothing(tmp_path: Path, receiver: Receiver, how: int) -> None:
    """The receiver holds the first delivery until notify is dead: nobody knows whether it arrived."""
    place = Place(tmp_path, [receiver.address])
    place.publish()
    receiver.holds.set()
    fires = place.fires()
    with place.running() as process:
        place.publish(fires)
        wait_for(lambda: receiver.requests, "the first delivery")
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    receiver.holds.clear()
    with place.running() as process:
        wait_for(lambda: len(receiver.requests) == 2, "the second delivery")
        wait_for(lambda: not place.desk.rows("SELECT 1 FROM messages WHERE sent_at IS NULL"), "its mark")
        process.send_signal(how)
        process.wait(30)
    with place.running():
        place.publish(fires, place.fires("cards"))
        wait_for(lambda: len(receiver.requests) == 3, "another alert")
    first, second, third = receiver.ids()
    assert first == second != third


def test_a_kill_before_anything_was_decided_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    """The alert fires and ends while notify is down."""
    place = Place(tmp_path, [receiver.address])
    place.publish()
    with place.running() as process:
        wait_for(lambda: place.desk.rows("SELECT 1 FROM first_run"), "the first look")
        process.kill()
        process.wait(30)
    place.publish(place.fires(ended_at=clock.now(), end_reason="recovered"))
    with place.running():
        wait_for(lambda: receiver.requests, "the alert")
    assert receiver.requests[0].message["kind"] == "over"


def test_a_receiver_that_fails_gets_it_later_and_mail_comes_at_once(
    tmp_path: Path, mail: MailServer, receiver: Receiver
) -> None:
    place = Place(tmp_path, [receiver.address, mail.address()], **mail.environment)
    place.publish()
    receiver.status = 503
    with place.running():
        place.publish(place.fires())
        wait_for(lambda: mail.mails, "the mail", 20)
        wait_for(lambda: len(receiver.requests) > 1, "a second try")
        failing, *_ = place.desk.channels(clock.now())
        assert (failing.channel, failing.reason) == ("floor/1", "answered 503")
        receiver.status = 204
        wait_for(lambda: not place.desk.rows("SELECT 1 FROM messages WHERE sent_at IS NULL"), "its delivery")
    assert len(set(receiver.ids())) == 1 and len(mail.mails) == 1


def test_a_mail_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path, mail: MailServer) -> None:
    place = Place(tmp_path, [mail.address()], MAIL_PASSWORD=mail.environment["MAIL_PASSWORD"])
    done = place.once("test", "floor")
    assert done.returncode == 1 and "its certificate is not trusted" in done.stdout and not mail.mails
    assert mail.environment["MAIL_PASSWORD"] not in done.stdout + done.stderr


def test_a_wrong_password_is_named_and_not_repeated(tmp_path: Path, mail: MailServer) -> None:
    place = Place(tmp_path, [mail.address()], **mail.environment | {"MAIL_PASSWORD": "not-the-password"})
    done = place.once("test", "floor")
    assert done.returncode == 1 and "it refused the sign-in" in done.stdout
    assert "not-the-password" not in done.stdout + done.stderr


def test_a_test_message_goes_to_every_address(tmp_path: Path, mail: MailServer, receiver: Receiver) -> None:
    place = Place(tmp_path, [mail.address(), receiver.address], **mail.environment)
    done = place.once("test", "floor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["ok", "floor/1"], ["ok", "floor/2"]]
    assert mail.mails[0]["Subject"] == "Test message from Vigie" and is_signed(receiver)


def test_check_names_the_address_that_no_service_knows(tmp_path: Path) -> None:
    place = Place(tmp_path, ["carrier-pigeon://loft/7"])
    done = place.once("check")
    assert done.returncode == 2 and "line 8: address 1 of the group `floor`" in done.stderr


def test_an_invalid_file_leaves_the_last_valid_one_in_force(tmp_path: Path, receiver: Receiver) -> None:
    place = Place(tmp_path, [receiver.address])
    place.publish()
    with place.running():
        place.configure(["carrier-pigeon://loft/7"])
        wait_for(lambda: "The previous configuration stays in force" in place.log, "the warning")
        place.publish(place.fires())
        wait_for(lambda: receiver.requests, "the alert")
        place.configure([receiver.address], "fr")
        wait_for(lambda: "was reloaded" in place.log, "the new file")
        place.publish(place.fires(), place.fires("cards"))
        wait_for(lambda: len(receiver.requests) == 2, "the next alert")
    assert "Avertissement" in receiver.requests[1].message["title"]


def test_when_nothing_is_published_any_more_one_message_says_so(tmp_path: Path, receiver: Receiver) -> None:
    place = Place(tmp_path, [receiver.address])
    place.publish(published_s_ago=3_600)
    with place.running():
        wait_for(lambda: receiver.requests, "the message")
        place.publish()
        wait_for(lambda: len(receiver.requests) == 2, "the end")
    assert [request.message["kind"] for request in receiver.requests] == ["fired", "over"]
    assert "age of the data above 1:00" in receiver.requests[0].message["title"]


def test_an_acknowledgement_stops_repetitions(tmp_path: Path, receiver: Receiver) -> None:
    place = Place(tmp_path, [receiver.address])
    place.publish()
    with place.running():
        fires = place.fires(repeat_after_s=2.0)
        place.publish(fires)
        wait_for(lambda: len(receiver.requests) >= 2, "a repetition")
        firing = alerts(Published(tmp_path / "published" / "vigie.duckdb"), MANAGER, clock.now())
        assert firing
        place.desk.acknowledge(MANAGER, firing, "on it", clock.now())
        repeats = len(receiver.requests)
        other = place.fires("cards")
        place.publish(fires, other)
        wait_for(lambda: any("cards" in request.message["title"] for request in receiver.requests), "another alert")
    kinds = [request.message["kind"] for request in receiver.requests]
    assert kinds.count("repeated") <= repeats  # one may have been on its way


def test_a_storm_of_a_thousand_alerts_is_a_few_messages(tmp_path: Path, receiver: Receiver) -> None:
    place = Place(tmp_path, [receiver.address])
    place.publish()
    with place.running():
        place.publish(*(place.fires(f"c{n}", rule=f"rule-{n % 4}") for n in range(1_000)))
        wait_for(lambda: len(receiver.requests) == 4, "one message for each rule", 30)
        place.publish(place.fires())
        wait_for(lambda: any(request.message["count"] == 1 for request in receiver.requests), "the next alert", 30)
    assert sum(request.message["count"] for request in receiver.requests if request.message["kind"] == "fired") == 1_001


def test_a_second_notify_is_refused(tmp_path: Path, receiver: Receiver) -> None:
    place = Place(tmp_path, [receiver.address])
    place.publish()
    with place.running():
        done = place.once("run")
    assert done.returncode == 1 and done.stderr.endswith("stop it first.\n")
