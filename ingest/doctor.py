"""`python -m ingest doctor`: tries each thing that a start needs, and says of each what to do. It changes nothing."""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, TopicAuthorizationFailedError

from ingest.cli import Parser
from ingest.errors import RESTORE_OR_REBUILD, BrokerUnavailable, UsageError
from ingest.events import contract, masking
from ingest.topic.servers import connecting, security
from metrics import clock
from metrics.configuration import campaigns
from metrics.configuration.campaigns import Campaign, Configuration
from metrics.configuration.zones import check_zones
from metrics.errors import MetricsError

SAMPLE = 50  # records a partition
READS_WITHIN_S = 10.0
LITTLE_DISK = 2 * 2**30
NO_DISK = 64 * 2**20  # too little for the next checkpoint and snapshot
OLD_S = 300.0
GOOD, DOUBTFUL, BAD = "ok", "look", "BAD"
TERMS = {
    "formula": ("formula", ""),
    "threshold_s": ("threshold", " s"),
    "target": ("target", ""),
    "wait_at_threshold_counts": ("a wait at the threshold is in time", ""),
    "short_abandon_s": ("short abandon below", " s"),
}
"""What a term says → what it is called here, and its unit."""


@dataclass(frozen=True)
class Finding:
    """What was tried, how it stands, and what to do when it does not stand well."""

    what: str
    mark: str
    says: str
    to_do: str = ""


def arguments(parser: Parser) -> None:
    parser.kafka_options()
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="campaigns, clients and contracts")


def main(options: argparse.Namespace) -> int:
    """Print a line for each finding; 1 when something is bad."""
    is_bad = False
    for finding in examine(options):
        is_bad |= finding.mark == BAD
        sys.stdout.write(f"{finding.mark:5} {finding.what:15} {finding.says}\n")
        if finding.to_do:
            sys.stdout.write(f"{'':21} → {finding.to_do}\n")
        sys.stdout.flush()
    return int(is_bad)


def examine(options: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is found, the cheapest first."""
    yield from _configuration(options.campaigns)
    yield from _directory(options.data_dir)
    yield from _store(options.data_dir / "store.duckdb")
    yield from _published(options.data_dir / "published" / "vigie.duckdb")
    try:
        with connecting(options.bootstrap_servers, security(options)) as settings:
            yield from _kafka(options.bootstrap_servers, options.topic, settings)
    except (BrokerUnavailable, UsageError) as error:
        yield Finding("broker", BAD, str(error))


def _configuration(path: Path) -> Iterator[Finding]:
    try:
        configuration: Configuration = campaigns.load(path)
    except MetricsError as error:
        yield Finding("campaigns", BAD, str(error))
        return
    known = configuration.campaigns
    if known:
        yield Finding("campaigns", GOOD, f"{path}: {len(known)} campaigns of {len(configuration.clients)} clients")
    else:
        yield Finding("campaigns", DOUBTFUL, f"{path} names no campaign", "add them; until then the defaults judge")
    for campaign in known.values():
        yield from _terms(campaign)
    try:
        check_zones(configuration.zones)
    except MetricsError as error:
        yield Finding("zone rules", BAD, str(error))
    else:
        yield Finding("zone rules", GOOD, f"{len(configuration.zones)} zones, the same in Python and DuckDB")


def _terms(campaign: Campaign) -> Iterator[Finding]:
    """Say what each later term of a contract changes against the one before it."""
    for before, term in pairwise(campaign.terms):
        changes = [
            f"{name} {_shown(getattr(before, key))} → {_shown(getattr(term, key))}{unit}"
            for key, (name, unit) in TERMS.items()
            if getattr(before, key) != getattr(term, key)
        ]
        says = f"{campaign.id}, from {term.valid_from:%Y-%m-%d %H:%M}: "
        if changes:
            yield Finding("terms", GOOD, says + ", ".join(changes))
        else:
            yield Finding("terms", DOUBTFUL, says + "nothing changes", "see that the term says what was agreed")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _directory(place: Path) -> Iterator[Finding]:
    there = next(one for one in (place, *place.resolve().parents) if one.exists())
    if not there.is_dir():
        yield Finding("data directory", BAD, f"{there} is a file, no folder", "give --data-dir another")
        return
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            "data directory", BAD, f"{place} cannot be written", "give it to this user, or --data-dir another"
        )
        return
    free = shutil.disk_usage(there).free
    to_do = "make room: a full disk stops the consumer, though it loses nothing" if free < LITTLE_DISK else ""
    mark = BAD if free < NO_DISK else DOUBTFUL if to_do else GOOD
    yield Finding("data directory", mark, f"{place}: {free / 2**30:.1f} GiB free", to_do)


def _store(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("store", GOOD, f"{path} is not there yet: `ingest run` makes it, from the topic's beginning")
        return
    try:
        with duckdb.connect(str(path), read_only=True) as store:
            ((events,),) = store.execute("SELECT lines - duplicates FROM totals").fetchall()
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        if "lock" in said.lower():
            yield Finding("store", GOOD, f"{path} is held by a consumer that runs")
        else:
            yield Finding("store", BAD, said, RESTORE_OR_REBUILD)
    else:
        yield Finding("store", DOUBTFUL, f"{path}: {events:,} events, and no consumer runs on it", "start `ingest run`")


def _published(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("published file", DOUBTFUL, f"{path} is not there yet", "start `ingest run`")
        return
    try:
        with duckdb.connect(str(path), read_only=True) as snapshot:
            row = snapshot.execute("SELECT published_at, lag, dead_letters FROM ingest_status").fetchall()[0]
    except (duckdb.Error, IndexError) as error:
        yield Finding("published file", BAD, str(error).splitlines()[0], "publish again with this version")
        return
    published_at, lag, letters = row
    age_s = (clock.now() - published_at).total_seconds()
    says = f"{_age(age_s)} old, {lag:,} records to read, {letters:,} dead letters"
    to_do = "the consumer does not publish: see that it runs" if age_s > OLD_S else ""
    if letters and not to_do:
        to_do = "the feed page shows what was rejected, and why"
    yield Finding("published file", DOUBTFUL if to_do else GOOD, says, to_do)


def _kafka(servers: str, topic: str, settings: dict[str, Any]) -> Iterator[Finding]:
    admin = KafkaAdminClient(**settings)
    try:
        cluster = admin.describe_cluster()["cluster_id"]
        yield Finding("broker", GOOD, f"{servers} answers, cluster {cluster}")
        (found,) = admin.describe_topics([topic])
    finally:
        admin.close()
    if found["error_code"] == TopicAuthorizationFailedError.errno:
        yield Finding("topic", BAD, f"this user may not see {topic}", "give it the rights that docs/kafka.md lists")
        return
    if found["error_code"] or not found["partitions"]:
        yield Finding("topic", BAD, f"there is no topic {topic}", "create it, or name another with --topic")
        return
    partitions = [TopicPartition(topic, one["partition_index"]) for one in found["partitions"]]
    without = [one["partition_index"] for one in found["partitions"] if one["leader_id"] < 0]
    if without:
        yield Finding("topic", BAD, f"{topic}: partitions {without} have no leader", "see to the brokers")
        return
    yield Finding("topic", GOOD, f"{topic}: {len(partitions)} partitions")
    consumer = KafkaConsumer(
        **settings, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    try:
        yield from _records(_latest(consumer, partitions))
    except KafkaError as error:
        yield Finding("records", BAD, f"cannot be read: {error}", "give this user the right to read the topic")
    finally:
        consumer.close(autocommit=False)


def _latest(consumer: Any, partitions: list[TopicPartition]) -> list[Any]:
    """Up to SAMPLE of the last records of each partition, by a consumer of no group."""
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    beginnings = consumer.beginning_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, max(beginnings[partition], ends[partition] - SAMPLE))
    found: list[Any] = []
    deadline = time.monotonic() + READS_WITHIN_S
    while time.monotonic() < deadline and any(consumer.position(one) < ends[one] for one in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            found += records
    return found


def _records(found: list[Any]) -> Iterator[Finding]:
    if not found:
        yield Finding("records", DOUBTFUL, "the topic is empty", "start a source, or try `ingest simulate`")
        return
    age_s = clock.now_s() - max(record.timestamp for record in found) / 1000
    to_do = "see that the source runs" if age_s > OLD_S else ""
    yield Finding("last record", DOUBTFUL if to_do else GOOD, f"{_age(age_s)} old", to_do)
    faults = [fault for record in found for _, _, fault in contract.faulty_lines(record.value) if fault]
    says = f"{len(found)} of the last records: "
    if faults:
        commonest = max(set(faults), key=faults.count)
        to_do = "mend the source; until then these become dead letters"
        yield Finding(
            "contract", BAD, says + f"{len(faults)} lines break it, mostly: {masking.mask_reason(commonest)}", to_do
        )
    else:
        yield Finding("contract", GOOD, says + "all keep it")


def _age(seconds: float) -> str:
    """A length of time in its greatest unit."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"
