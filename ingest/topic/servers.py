"""The brokers that a command uses, how it signs in to them, and the errors when they do not answer or refuse it."""

import argparse
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from ingest.errors import BrokerUnavailable, UsageError

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PASSWORD = "VIGIE_SASL_PASSWORD"
PASSWORD_FILE = "VIGIE_SASL_PASSWORD_FILE"


@dataclass(frozen=True)
class Security:
    """How to connect to the brokers; by default unencrypted and without a user."""

    protocol: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @property
    def has_sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    def settings(self) -> dict[str, Any]:
        """The settings for kafka-python's clients. Raises UsageError for files that cannot be used."""
        settings: dict[str, Any] = {"security_protocol": self.protocol}
        if self.has_sasl:
            settings["sasl_mechanism"] = self.mechanism
            settings["sasl_plain_username"] = self.username
            settings["sasl_plain_password"] = self.password
        if self.protocol.endswith("SSL"):
            settings["ssl_context"] = self._context()
        return settings

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"--ssl-ca-file: {self.ca_file} is not a readable certificate ({error}).") from error
        if self.cert_file:
            try:
                # with an empty password an encrypted key is refused; otherwise OpenSSL would ask on the terminal
                context.load_cert_chain(self.cert_file, self.key_file or None, password="")
            except (OSError, ssl.SSLError) as error:
                raise UsageError(
                    f"--ssl-cert-file and --ssl-key-file: {self.cert_file} and {self.key_file or 'no key file'} are not"
                    f" a certificate and its unencrypted key ({error})."
                ) from error
        return context


IN_THE_CLEAR = Security()


def security(options: argparse.Namespace) -> Security:
    """What the options of `Parser.kafka_options` say. Raises UsageError for options that contradict each other."""
    protocol, mechanism = options.security_protocol.upper(), options.sasl_mechanism.upper()
    if protocol not in PROTOCOLS:
        raise UsageError(f"--security-protocol {options.security_protocol} is not one of {', '.join(PROTOCOLS)}.")
    if mechanism not in MECHANISMS:
        raise UsageError(f"--sasl-mechanism {options.sasl_mechanism} is not one of {', '.join(MECHANISMS)}.")
    password = _password()
    if protocol.startswith("SASL") and not (options.sasl_username and password):
        raise UsageError(
            f"--security-protocol {protocol} needs a user and a password: give --sasl-username,"
            f" and {PASSWORD} or {PASSWORD_FILE} in the environment."
        )
    if options.sasl_username and not protocol.startswith("SASL"):
        raise UsageError(
            f"--sasl-username has no effect with --security-protocol {protocol}; choose SASL_SSL or SASL_PLAINTEXT."
        )
    files = (options.ssl_ca_file, options.ssl_cert_file, options.ssl_key_file)
    if any(files) and not protocol.endswith("SSL"):
        raise UsageError(
            f"--ssl-ca-file, --ssl-cert-file and --ssl-key-file have no effect with --security-protocol {protocol};"
            " choose SSL or SASL_SSL."
        )
    return Security(protocol, mechanism, options.sasl_username, password, *files)


def _password() -> str:
    """The password, from the environment or the file that it names: anybody on the machine can see a command line."""
    password, file = os.environ.get(PASSWORD), os.environ.get(PASSWORD_FILE)
    if password and file:
        raise UsageError(f"{PASSWORD} and {PASSWORD_FILE} are both set; keep one.")
    if not file:
        return password or ""
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{PASSWORD_FILE}: {file} cannot be read ({error}).") from error


@contextlib.contextmanager
def connecting(bootstrap_servers: str, secured: Security = IN_THE_CLEAR) -> Iterator[dict[str, Any]]:
    """Yield the settings for kafka-python's clients; turn their failures into errors of one sentence.

    Raises UsageError for a malformed address, BrokerUnavailable when Kafka does not answer or refuses us.
    """
    settings = {"bootstrap_servers": listening(bootstrap_servers), "bootstrap_timeout_ms": 5_000, **secured.settings()}
    with _reasons() as reasons:
        try:
            yield settings
        except (KafkaError, OSError, ValueError) as error:
            raise _refusal(bootstrap_servers, secured, [*reasons, str(error)]) from error


def listening(bootstrap_servers: str) -> list[str]:
    """Split HOST:PORT[,HOST:PORT…] into a list, if something listens at one of them.

    Raises UsageError for a malformed address, BrokerUnavailable when nothing listens at any: at once, while
    kafka-python would try for a long time.
    """
    servers = [server.strip() for server in bootstrap_servers.split(",")]
    if not any(_listens(server) for server in servers):
        raise unavailable(bootstrap_servers)
    return servers


def unavailable(bootstrap_servers: str) -> BrokerUnavailable:
    """The error to raise when Kafka does not answer."""
    return BrokerUnavailable(
        f"Kafka at {bootstrap_servers} does not answer; start it, or name another with --bootstrap-servers."
    )


def not_allowed(servers: str, secured: Security, reason: str) -> BrokerUnavailable:
    """The error to raise when Kafka knows the user and refuses a right."""
    return BrokerUnavailable(
        f"Kafka at {servers} does not allow {secured.username or 'this client'} to do this ({reason}); grant the rights"
        " that docs/kafka.md lists."
    )


def _listens(server: str) -> bool:
    host, _, port = server.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--bootstrap-servers: {server!r} is not HOST:PORT.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError):
        return False
    return True


@contextlib.contextmanager
def _reasons() -> Iterator[list[str]]:
    """Collect why kafka-python's connections fail: it only logs the reasons, and raises a timeout in the end."""
    reasons: list[str] = []

    class Reasons(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reasons.extend(str(argument) for argument in record.args or () if isinstance(argument, Exception))

    connections, handler = logging.getLogger("kafka.net"), Reasons(logging.WARNING)
    level, propagates = connections.level, connections.propagate
    connections.addHandler(handler)
    connections.setLevel(logging.WARNING)
    connections.propagate = False
    try:
        yield reasons
    finally:
        connections.removeHandler(handler)
        connections.setLevel(level)
        connections.propagate = propagates


def _refusal(servers: str, secured: Security, reasons: list[str]) -> BrokerUnavailable:
    all_reasons = " ".join(reasons)
    if not any(_listens(server.strip()) for server in servers.split(",")):
        return unavailable(servers)
    if "AuthorizationFailed" in all_reasons:
        return not_allowed(servers, secured, reasons[-1])
    if "CERTIFICATE_VERIFY_FAILED" in all_reasons:
        why = all_reasons.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return BrokerUnavailable(
            f"The certificate of Kafka at {servers} is not trusted ({why}); name the file of the authority that signed"
            " it with --ssl-ca-file, and the broker as its certificate does."
        )
    if "ALERT" in all_reasons and "CERTIFICATE" in all_reasons:
        return BrokerUnavailable(
            f"Kafka at {servers} rejects this client's certificate, or requires one; see --ssl-cert-file and"
            " --ssl-key-file."
        )
    if "[SSL" in all_reasons:
        return BrokerUnavailable(
            f"Kafka at {servers} does not use TLS on this port; see the port and --security-protocol."
        )
    if secured.has_sasl and ("SaslState" in all_reasons or "SaslMechanism" in all_reasons):
        return BrokerUnavailable(
            f"Kafka at {servers} does not offer {secured.mechanism} on this port; see the port,"
            " --security-protocol and --sasl-mechanism."
        )
    if secured.has_sasl and ("disconnected" in all_reasons or "SaslAuthentication" in all_reasons):
        return BrokerUnavailable(
            f"Kafka at {servers} does not let user {secured.username} in; see --sasl-username, --sasl-mechanism and the"
            f" password in {PASSWORD} or {PASSWORD_FILE}."
        )
    if "disconnected" in all_reasons:
        return BrokerUnavailable(
            f"Kafka at {servers} closes the connection; it may require TLS or a password on this port: see the port and"
            " --security-protocol."
        )
    return unavailable(servers)
