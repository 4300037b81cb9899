"""Apache Kafka as a real process: one node (KRaft) on 127.0.0.1 from its own jars, with every security protocol.

It needs Java 17 and, the first time, Maven. Where they are missing, its tests are skipped and the report ends with how
to install them. With VIGIE_REQUIRE_APACHE_KAFKA=1, as in .ci/run, they fail instead.
"""

import base64
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from ingest.topic.children import ends_with_us
from tests.support.processes import free_port, not_here, wait_for

HERE = Path(__file__).parent
POM = HERE / "apache" / "pom.xml"
CACHE = HERE.parent.parent.parent / ".cache" / "apache-kafka"
READY_WITHIN_S = 120.0

USER = "floor"
PASSWORD = "seven brass kettles"
LISTENERS = ("PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL")  # SSL asks the client for its certificate too
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
JVM = (
    "-Xmx400m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


@dataclass(frozen=True)
class Keys:
    """Keys and certificates (PEM) of an authority, the broker, a client, and an authority nobody trusts."""

    home: Path

    @property
    def authority(self) -> Path:
        return self.home / "authority.crt"

    @property
    def stranger(self) -> Path:
        return self.home / "stranger.crt"

    @property
    def client(self) -> tuple[Path, Path]:
        """Certificate and key."""
        return self.home / "client.crt", self.home / "client.key"


class ApacheKafka:
    """A broker with its log on disk: it can be killed and started again on the same ports."""

    def __init__(self, home: Path, jars: Path) -> None:
        self._home = home
        self._jars = jars
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = {name: free_port() for name in (*LISTENERS, "CONTROLLER")}
        self.keys = _make_keys(home / "keys")
        (home / "server.properties").write_text(self._properties())
        scram = [
            argument
            for mechanism in MECHANISMS[1:]
            for argument in ("--add-scram", f'{mechanism}=[name={USER},password="{PASSWORD}"]')
        ]
        properties = str(home / "server.properties")
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        formatted = subprocess.run(
            [*self._java("kafka.tools.StorageTool"), "format", f"--cluster-id={cluster_id}", "-c", properties, *scram],
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=READY_WITHIN_S,
        )
        assert formatted.returncode == 0, formatted.stdout + formatted.stderr

    def servers(self, listener: str = "PLAINTEXT") -> str:
        """Return the address of a listener."""
        return f"127.0.0.1:{self._ports[listener]}"

    @property
    def bootstrap_servers(self) -> str:
        return self.servers()

    def start(self) -> None:
        with (self._home / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                ends_with_us([*self._java("kafka.Kafka"), str(self._home / "server.properties")]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._answers, "Apache Kafka answers", READY_WITHIN_S)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the process: the system still accepts connections, but nothing is answered until the block ends."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._home / "broker.log").read_text()[-4000:]
        try:
            # try the port first: kafka-python leaves sockets open when nobody answers
            socket.create_connection(("127.0.0.1", self._ports["PLAINTEXT"]), timeout=1).close()
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=30_000)
            with closing(admin):
                return bool(admin.describe_cluster()["brokers"])
        except (KafkaError, OSError, ValueError):
            return False

    def _java(self, program: str) -> list[str]:
        return ["java", *JVM, "-cp", f"{self._jars}/*", program]

    def _properties(self) -> str:
        listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self._ports.items())
        advertised = ",".join(f"{name}://{self.servers(name)}" for name in LISTENERS)
        kinds = ",".join(f"{name}:{name}" for name in LISTENERS)
        plain = f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}"'
        jaas = "".join(
            f"listener.name.{listener.lower()}.{mechanism.lower()}.sasl.jaas.config="
            f"org.apache.kafka.common.security.{module} required{more};\n"
            for listener in ("SASL_PLAINTEXT", "SASL_SSL")
            for mechanism, module, more in (
                ("PLAIN", "plain.PlainLoginModule", f" {plain}"),
                ("SCRAM-SHA-256", "scram.ScramLoginModule", ""),
                ("SCRAM-SHA-512", "scram.ScramLoginModule", ""),
            )
        )
        return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self._ports["CONTROLLER"]}
controller.listener.names=CONTROLLER
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={kinds},CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms={",".join(MECHANISMS)}
{jaas}
ssl.keystore.type=PEM
ssl.keystore.location={self.keys.home / "broker.pem"}
ssl.truststore.type=PEM
ssl.truststore.location={self.keys.authority}
listener.name.ssl.ssl.client.auth=required
log.dirs={self._home / "log"}
auto.create.topics.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
# the tests' clock stamps the records, and it may be far from the broker's
log.retention.ms=-1
log.message.timestamp.after.max.ms=9223372036854775807
group.min.session.timeout.ms=1000
"""


@contextmanager
def running_apache_kafka(home: Path) -> Iterator[ApacheKafka]:
    """Run a broker until the block ends; without Java or its jars skip the test, or fail where it is required."""
    kafka = ApacheKafka(home, _jars())
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.kill()


def _jars() -> Path:
    """Return the folder of the broker's jars; fetch them once for each version of pom.xml."""
    if shutil.which("java") is None:
        _missing("Java is not installed: `apt-get install openjdk-17-jre-headless maven` on Debian")
    jars = CACHE / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if jars.is_dir():
        return jars
    if shutil.which("mvn") is None:
        _missing("Maven, which fetches the broker, is not installed: `apt-get install maven` on Debian")
    fresh = jars.with_name(f".{jars.name}-{os.getpid()}")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    # LD_PRELOAD may change the date, and certificates are checked by the real one
    done = subprocess.run(
        [*command, f"-DoutputDirectory={fresh}"],
        env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    if done.returncode or not list(fresh.glob("kafka_*.jar")):
        shutil.rmtree(fresh, ignore_errors=True)
        _missing(f"Maven could not fetch the broker; run `{' '.join(command)}` to see why")
    try:
        fresh.rename(jars)
    except OSError:  # another run fetched them meanwhile
        shutil.rmtree(fresh)
    return jars


def _missing(why: str) -> None:
    not_here(f"Apache Kafka cannot be run here. {why}.", "VIGIE_REQUIRE_APACHE_KAFKA")


def _make_keys(home: Path) -> Keys:
    home.mkdir(parents=True)

    def openssl(*arguments: str) -> None:
        new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
        done = subprocess.run(
            [*new, *arguments], cwd=home, capture_output=True, encoding="utf-8", check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr

    def written(name: str) -> tuple[str, ...]:
        return "-keyout", f"{name}.key", "-out", f"{name}.crt"

    for name in ("authority", "stranger"):
        openssl("-subj", f"/CN={name}", *written(name))
    signed = ("-CA", "authority.crt", "-CAkey", "authority.key", "-addext", "basicConstraints=critical,CA:FALSE")
    openssl("-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1", *signed, *written("broker"))
    openssl("-subj", "/CN=client", *signed, *written("client"))
    (home / "broker.pem").write_text((home / "broker.key").read_text() + (home / "broker.crt").read_text())
    return Keys(home)
