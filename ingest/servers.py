"""The brokers that a command is told to use."""

import socket

from ingest.errors import BrokerUnavailable, UsageError


def listening(bootstrap_servers: str) -> list[str]:
    """Split HOST:PORT[,HOST:PORT…] into a list, once one of them answers.

    Raises UsageError for what is no address, BrokerUnavailable when nothing listens at any: at once, where
    kafka-python would try for long.
    """
    servers = [server.strip() for server in bootstrap_servers.split(",")]
    if not any(_listens(server) for server in servers):
        raise unavailable(bootstrap_servers)
    return servers


def unavailable(bootstrap_servers: str) -> BrokerUnavailable:
    """What to raise when Kafka is not there."""
    return BrokerUnavailable(
        f"Kafka at {bootstrap_servers} does not answer; start it, or name another with --bootstrap-servers."
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
