"""TLS and passwords on Apache Kafka with test certificates: who may connect, and the errors for who may not."""

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from ingest.topic.broker import ensure_topic
from tests.support.processes import (
    ROOT,
    count_calls,
    one_sentence,
    queued,
    run,
    send,
    status,
)
from tests.support.servers.apache_kafka import MECHANISMS, PASSWORD, USER, ApacheKafka

pytestmark = pytest.mark.slow

Variables = dict[str, str]
SAMPLES = ROOT / "samples"


def credentials(password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512") -> Variables:
    return {"VIGIE_SASL_USERNAME": USER, "VIGIE_SASL_PASSWORD": password, "VIGIE_SASL_MECHANISM": mechanism}


@pytest.fixture
def topic(apache_kafka: ApacheKafka, tmp_path: Path) -> str:
    name = "secured-" + re.sub(r"\W", "-", tmp_path.name)
    ensure_topic(apache_kafka.bootstrap_servers, name, 1)
    return name


def secured(kafka: ApacheKafka, protocol: str) -> Variables:
    variables = {"VIGIE_SECURITY_PROTOCOL": protocol, "VIGIE_BOOTSTRAP_SERVERS": kafka.servers(protocol)}
    return variables | ({"VIGIE_SSL_CA_FILE": str(kafka.keys.authority)} if protocol.endswith("SSL") else {})


def certificate(kafka: ApacheKafka) -> Variables:
    cert, key = kafka.keys.client
    return {"VIGIE_SSL_CERT_FILE": str(cert), "VIGIE_SSL_KEY_FILE": str(key)}


@pytest.mark.parametrize(
    "protocol, mechanism",
    [*(("SASL_SSL", mechanism) for mechanism in MECHANISMS), ("SASL_PLAINTEXT", "SCRAM-SHA-256"), ("SSL", None)],
)
def test_a_client_with_valid_credentials_may_connect(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path, protocol: str, mechanism: str | None
) -> None:
    who = credentials(mechanism=mechanism) if mechanism else certificate(apache_kafka)
    variables = secured(apache_kafka, protocol) | who | {"VIGIE_TOPIC": topic, "VIGIE_DATA_DIR": str(tmp_path)}
    line = '{"event_id":"a","type":"call.queued","ts":"2024-03-04T12:00:00Z","call_id":"a","campaign":"c","queue":"q"}'
    sent = run("send", "-", given=line + "\n", **variables)
    assert sent.returncode == 0, sent.stderr
    read = run("run", "--until-caught-up", **variables)
    assert read.returncode == 0, read.stderr
    assert (count_calls(tmp_path), status(tmp_path)["records"]) == (1, 1)
    assert PASSWORD not in sent.stdout + sent.stderr + read.stdout + read.stderr


def test_every_command_authenticates_to_kafka(apache_kafka: ApacheKafka, topic: str, tmp_path: Path) -> None:
    variables = secured(apache_kafka, "SASL_SSL") | credentials() | {"VIGIE_TOPIC": topic}
    log = tmp_path / "queue_log"
    log.write_text("1773129600|1773129600.1|q|NONE|ENTERQUEUE||0611111111|1\n")
    source = run("source", "asterisk", "--queue-log", str(log), **variables)
    assert source.returncode == 0, source.stderr
    floor = run("simulate", "--until-now", "--days", "0", "--agents", "8", **variables)
    assert floor.returncode == 0, floor.stderr
    doctor = run("doctor", "--data-dir", str(tmp_path), **variables)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr


def test_a_source_that_reads_a_topic_authenticates(apache_kafka: ApacheKafka, topic: str, tmp_path: Path) -> None:
    contacts = f"{topic}-contacts"
    ensure_topic(apache_kafka.bootstrap_servers, contacts, 1)
    send(apache_kafka.bootstrap_servers, contacts, [(SAMPLES / "connect_records.json").read_bytes()])
    variables = (
        secured(apache_kafka, "SASL_SSL") | credentials() | {"VIGIE_TOPIC": topic, "VIGIE_DATA_DIR": str(tmp_path)}
    )
    done = run("source", "connect", "--from-topic", contacts, "--until-caught-up", **variables)
    assert done.returncode == 0, done.stderr
    assert re.match(r"[1-9]\d* events; .* acknowledged by", done.stdout), done.stdout


def allow(
    kafka: ApacheKafka, name: str, who: str, *operations: ACLOperation, kind: ResourceType = ResourceType.TOPIC
) -> None:
    """Allow `who` these operations on a topic, or a resource of `kind`. Nobody else may use it from now on."""
    resource = ResourcePattern(kind, name)
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)) as admin:
        admin.create_acls(
            [ACL(f"User:{who}", "*", operation, ACLPermissionType.ALLOW, resource) for operation in operations]
        )


@pytest.mark.parametrize(
    "operations, what, finding",
    [((), "topic", "this user may not see"), ((ACLOperation.DESCRIBE,), "records", "cannot be read")],
)
def test_a_topic_that_a_user_may_not_read_is_reported(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path, operations: tuple[ACLOperation, ...], what: str, finding: str
) -> None:
    send(apache_kafka.bootstrap_servers, topic, [queued(1)])
    allow(apache_kafka, topic, "another", ACLOperation.READ)
    allow(apache_kafka, topic, USER, *operations)
    variables = (
        secured(apache_kafka, "SASL_SSL") | credentials() | {"VIGIE_TOPIC": topic, "VIGIE_DATA_DIR": str(tmp_path)}
    )
    error = one_sentence(run("run", "--until-caught-up", **variables))
    assert f"does not allow {USER} to do this" in error
    assert "grant the rights that docs/kafka.md lists" in error
    doctor = run("doctor", **variables)
    assert doctor.returncode == 1
    assert re.search(rf"^BAD   {what} +.*{finding}", doctor.stdout, re.M), doctor.stdout


@pytest.mark.parametrize("operations", [(), (ACLOperation.DESCRIBE,)], ids=["nothing", "only to describe"])
def test_a_group_that_a_user_may_not_join_is_reported(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path, operations: tuple[ACLOperation, ...]
) -> None:
    group = f"{topic}-group"
    allow(apache_kafka, group, "another", ACLOperation.READ, kind=ResourceType.GROUP)
    allow(apache_kafka, group, USER, *operations, kind=ResourceType.GROUP)
    variables = (
        secured(apache_kafka, "SASL_SSL") | credentials() | {"VIGIE_TOPIC": topic, "VIGIE_DATA_DIR": str(tmp_path)}
    )
    error = one_sentence(run("run", "--group", group, **variables))
    assert f"does not allow {USER} to do this " in error
    assert f"GroupAuthorizationFailedError: {group}" in error
    assert "grant the rights that docs/kafka.md lists" in error
    allow(apache_kafka, group, USER, ACLOperation.READ, kind=ResourceType.GROUP)
    allowed = run("run", "--group", group, "--until-caught-up", **variables)
    assert allowed.returncode == 0, allowed.stderr


def test_a_password_in_a_file(apache_kafka: ApacheKafka, topic: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    variables = secured(apache_kafka, "SASL_SSL") | credentials() | {"VIGIE_SASL_PASSWORD": ""}
    send(apache_kafka.bootstrap_servers, topic, [queued(1)])
    options = ("--until-caught-up", "--topic", topic, "--data-dir", str(tmp_path))
    done = run("run", *options, **variables, VIGIE_SASL_PASSWORD_FILE=str(tmp_path / "password"))
    assert done.returncode == 0, done.stderr
    assert count_calls(tmp_path) == 1


REFUSED: list[tuple[str, Callable[[ApacheKafka], Variables], str]] = [
    (
        "a wrong password",
        lambda kafka: secured(kafka, "SASL_SSL") | credentials("no"),
        r"does not let user floor in; see --sasl-username, --sasl-mechanism and the password",
    ),
    (
        "a wrong password, PLAIN",
        lambda kafka: secured(kafka, "SASL_PLAINTEXT") | credentials("no", "PLAIN"),
        r"does not let user floor in",
    ),
    (
        "another authority",
        lambda kafka: secured(kafka, "SASL_SSL") | credentials() | {"VIGIE_SSL_CA_FILE": str(kafka.keys.stranger)},
        r"certificate of Kafka at \S+ is not trusted \(.*local issuer.*\); name the file of the authority",
    ),
    (
        "no client certificate",
        lambda kafka: secured(kafka, "SSL"),
        r"rejects this client's certificate, or requires one; see --ssl-cert-file",
    ),
    (
        "TLS on a plaintext port",
        lambda kafka: secured(kafka, "SSL") | {"VIGIE_BOOTSTRAP_SERVERS": kafka.servers()},
        r"does not use TLS on this port",
    ),
    (
        "plaintext on a TLS port",
        lambda kafka: {"VIGIE_BOOTSTRAP_SERVERS": kafka.servers("SSL")},
        r"closes the connection; it may require TLS or a password",
    ),
]


def test_a_refused_connection_is_one_sentence(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    """All cases run at once, since kafka-python retries for five seconds after any refusal."""

    def refused(case: tuple[str, Callable[[ApacheKafka], Variables], str]) -> str:
        name, variables_of, _ = case
        variables = variables_of(apache_kafka) | {"VIGIE_DATA_DIR": str(tmp_path / name)}
        return one_sentence(run(*(("send", os.devnull) if "PLAIN" in name else ("run",)), **variables))

    with ThreadPoolExecutor() as pool:
        for (name, _, why), sentence in zip(REFUSED, pool.map(refused, REFUSED), strict=True):
            assert re.search(why, sentence), name


@pytest.mark.parametrize(
    "variables, why",
    [
        ({"VIGIE_SECURITY_PROTOCOL": "TLS"}, "--security-protocol TLS is not one of PLAINTEXT, SSL"),
        ({"VIGIE_SASL_MECHANISM": "GSSAPI"}, "--sasl-mechanism GSSAPI is not one of PLAIN, SCRAM-SHA-256"),
        ({"VIGIE_SECURITY_PROTOCOL": "SASL_SSL", "VIGIE_SASL_USERNAME": "floor"}, "needs a user and a password"),
        ({"VIGIE_SASL_USERNAME": "floor"}, "--sasl-username has no effect with --security-protocol PLAINTEXT"),
        ({"VIGIE_SSL_CA_FILE": "authority.crt"}, "have no effect with --security-protocol PLAINTEXT"),
        ({"VIGIE_SASL_PASSWORD": "a", "VIGIE_SASL_PASSWORD_FILE": "b"}, "are both set; keep one"),
        ({"VIGIE_SASL_PASSWORD_FILE": "/nowhere/password"}, "/nowhere/password cannot be read"),
    ],
)
def test_conflicting_options_are_reported_before_connecting(variables: Variables, why: str) -> None:
    done = run("send", os.devnull, **variables)
    assert done.returncode == 2
    assert why in one_sentence(done)


def test_invalid_certificate_files_are_reported(broker: Any, tmp_path: Path) -> None:
    (tmp_path / "no.crt").write_text("no certificate")
    given = {"VIGIE_SECURITY_PROTOCOL": "SSL", "VIGIE_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
    for option in ("VIGIE_SSL_CA_FILE", "VIGIE_SSL_CERT_FILE"):
        done = run("send", os.devnull, **given, **{option: str(tmp_path / "no.crt")})
        assert done.returncode == 2
        assert "no.crt" in one_sentence(done)
