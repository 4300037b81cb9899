"""`python -m ingest doctor`: checks everything that a start needs, and says what to fix. It changes nothing."""

import argparse
import os
import shutil
import stat
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

from ingest.archive import checksums, inventory
from ingest.cli import Parser
from ingest.errors import RESTORE_OR_REBUILD, BrokerUnavailable, UsageError
from ingest.events import contract, masking
from ingest.topic.servers import connecting, security
from metrics import clock
from metrics.configuration import campaigns
from metrics.configuration.campaigns import Campaign, Configuration
from metrics.configuration.zones import check_zones
from metrics.errors import MetricsError
from metrics.kpis.alert_figures import SILENT_S, STALE_S
from metrics.published.opening import foreign_logs, open_snapshot

SAMPLE = 50  # records per partition
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
    "fcr_days": ("a contact is resolved without another within", " days"),
}
"""Fields of a contract term, each with its name here and its unit."""


@dataclass(frozen=True)
class Finding:
    """The result of one check; `to_do` says what to do unless all is well."""

    subject: str
    mark: str
    result: str
    to_do: str = ""


def arguments(parser: Parser) -> None:
    parser.kafka_options()
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="campaigns, clients and contracts")
    parser.add_argument(
        "--verify", action="store_true", help="also read all archived files, to compare them with their checksums"
    )


def main(options: argparse.Namespace) -> int:
    """Print a line for each finding; return 1 when something is bad."""
    is_bad = False
    for finding in examine(options):
        is_bad |= finding.mark == BAD
        sys.stdout.write(f"{finding.mark:5} {finding.subject:15} {finding.result}\n")
        if finding.to_do:
            sys.stdout.write(f"{'':21} → {finding.to_do}\n")
        sys.stdout.flush()
    return int(is_bad)


def examine(options: argparse.Namespace) -> Iterator[Finding]:
    """Yield the findings, from the cheapest checks first."""
    yield from _configuration(options.campaigns)
    yield from _directory(options.data_dir)
    yield from _store(options.data_dir / "store.duckdb", options.verify)
    yield from _rights(options.data_dir)
    yield from _published(options.data_dir / "published" / "vigie.duckdb")
    yield from _unknown(options.campaigns, options.data_dir / "published" / "vigie.duckdb")
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
    count = len(configuration.campaigns)
    if count:
        yield Finding("campaigns", GOOD, f"{path}: {count} campaigns of {len(configuration.clients)} clients")
    else:
        yield Finding("campaigns", DOUBTFUL, f"{path} has no campaign", "add some; until then the defaults apply")
    for campaign in configuration.campaigns.values():
        yield from _terms(campaign)
    yield _alerts(configuration)
    try:
        check_zones(configuration.zones)
    except MetricsError as error:
        yield Finding("zone rules", BAD, str(error))
    else:
        yield Finding("zone rules", GOOD, f"{len(configuration.zones)} zones, the same in Python and DuckDB")


def _terms(campaign: Campaign) -> Iterator[Finding]:
    """Say what each later term of a contract changes compared with the term before it."""
    for before, term in pairwise(campaign.terms):
        changes = [
            f"{name} {_formatted(getattr(before, key))} → {_formatted(getattr(term, key))}{unit}"
            for key, (name, unit) in TERMS.items()
            if getattr(before, key) != getattr(term, key)
        ]
        from_when = f"{campaign.id}, from {term.valid_from:%Y-%m-%d %H:%M}: "
        if changes:
            yield Finding("terms", GOOD, from_when + ", ".join(changes))
        else:
            yield Finding("terms", DOUBTFUL, from_when + "nothing changes", "check the term against the agreement")


def _alerts(configuration: Configuration) -> Finding:
    """Say which alert rules there are, and whether they notice all that holds the others."""
    if not configuration.alerts:
        return Finding("alerts", GOOD, "no rules: nothing fires")
    rules = f"{len(configuration.alerts)} rules: {', '.join(rule.name for rule in configuration.alerts)}"
    for figure, bound_s in (("feed_age_s", STALE_S), ("feed_silent_s", SILENT_S)):
        thresholds = [r.threshold for r in configuration.alerts if r.figure == figure and r.comparison == "above"]
        if not thresholds or min(thresholds) > bound_s:
            to_do = f"add a rule on {figure} above {bound_s:g}: beyond that the others are held, and nothing says so"
            return Finding("alerts", DOUBTFUL, rules, to_do)
    return Finding("alerts", GOOD, rules)


def _formatted(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _directory(place: Path) -> Iterator[Finding]:
    existing = next(path for path in (place, *place.resolve().parents) if path.exists())
    if not existing.is_dir():
        yield Finding("data directory", BAD, f"{existing} is a file, not a folder", "choose another --data-dir")
        return
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "data directory", BAD, f"{place} is not writable", "give it to this user, or choose another --data-dir"
        )
        return
    free = shutil.disk_usage(existing).free
    to_do = "free some space: a full disk stops the consumer, though nothing is lost" if free < LITTLE_DISK else ""
    mark = BAD if free < NO_DISK else DOUBTFUL if to_do else GOOD
    yield Finding("data directory", mark, f"{place}: {free / 2**30:.1f} GiB free", to_do)


def _rights(data_dir: Path) -> Iterator[Finding]:
    """Say who else may write where readers read, and who may read although they are not in the consumer's group."""
    for folder in (data_dir, data_dir / "published"):
        mode = stat.S_IMODE(folder.stat().st_mode) if folder.is_dir() else 0
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            to_do = f"run `chmod g-w,o-rwx {folder}`: only the consumer's user needs to write there"
            yield Finding("rights", DOUBTFUL, f"others than its owner may write to {folder}", to_do)
        elif mode & stat.S_IRWXO:
            to_do = f"run `chmod o-rwx {folder}`, and put who should read into the group of the consumer's user"
            yield Finding("rights", DOUBTFUL, f"everybody on this machine may read {folder}", to_do)


def _store(path: Path, verify: bool) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("store", GOOD, f"{path} does not exist yet: `ingest run` creates it, from the topic's beginning")
        return
    try:
        with duckdb.connect(str(path), read_only=True) as store:
            ((events,),) = store.execute("SELECT lines - duplicates FROM totals").fetchall()
            files = list(_files(store, path.parent, verify))
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if "lock" in reason.lower():
            yield Finding("store", GOOD, f"{path} is in use by a running consumer")
            if verify:
                to_do = "look for alarms on the feed page; to check all at once, stop the consumer first"
                yield Finding("archived files", DOUBTFUL, "a running consumer checks them itself, once a day", to_do)
        else:
            yield Finding("store", BAD, reason, RESTORE_OR_REBUILD)
    else:
        yield Finding("store", DOUBTFUL, f"{path}: {events:,} events, and no consumer is running", "start `ingest run`")
        yield from files


def _files(store: duckdb.DuckDBPyConnection, data_dir: Path, verify: bool) -> Iterator[Finding]:
    """Say which archived files are missing, and which the consumer has found damaged, or now differ."""
    files = inventory.take(store, data_dir)
    damaged = checksums.damaged_files(store, data_dir, again=verify)
    for file in sorted(files.missing):
        yield Finding("archived files", BAD, f"{file} is not there", RESTORE_OR_REBUILD)
    for file in sorted(damaged - files.missing):
        yield Finding("archived files", BAD, *checksums.damage(store, file))
    if not files.missing and not damaged:
        compared = "as they were written" if verify else "all there; `--verify` compares them with their checksums"
        yield Finding("archived files", GOOD, f"{len(files.counted):,}, {compared}")


def _published(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("published file", DOUBTFUL, f"{path} does not exist yet", "start `ingest run`")
        return
    for log in foreign_logs(path):
        yield Finding(
            "foreign log",
            BAD,
            f"{log}: somebody opened the published file for writing, and every other tool reads this as part of it",
            "a running consumer removes it within seconds: start it, and find out who opened the file",
        )
    if (spilled := path.with_name(f"{path.name}.tmp")).exists():
        to_do = "if nobody is querying the published file, delete it: a reader that was killed has left it"
        yield Finding("temporary files", DOUBTFUL, f"{spilled} exists; it changes no figure", to_do)
    try:
        with open_snapshot(path) as snapshot:
            row = snapshot.execute("SELECT published_at, lag, dead_letters FROM ingest_status").fetchall()[0]
    except (duckdb.Error, IndexError) as error:
        yield Finding("published file", BAD, str(error).splitlines()[0], "publish again with this version")
        return
    published_at, lag, letters = row
    age_s = (clock.now() - published_at).total_seconds()
    result = f"{_age(age_s)} old, {lag:,} records to read, {letters:,} dead letters"
    to_do = "the consumer does not publish: check that it is running" if age_s > OLD_S else ""
    if letters and not to_do:
        to_do = "the feed page shows what was rejected, and why"
    yield Finding("published file", DOUBTFUL if to_do else GOOD, result, to_do)


def _unknown(campaigns_file: Path, published: Path) -> Iterator[Finding]:
    """Say which rules watch a site that no agent has, or a source that has sent nothing: for these, nothing fires."""
    try:
        rules = campaigns.load(campaigns_file).alerts
        with open_snapshot(published) as snapshot:
            sites = {site for (site,) in snapshot.execute("SELECT DISTINCT site FROM agents").fetchall()}
            sources = {source for (source,) in snapshot.execute("SELECT source FROM feed_sources").fetchall()}
    except (MetricsError, duckdb.Error):  # said above
        return
    for rule in rules:
        for key, named, known, what in (
            ("sites", rule.sites, sites, "sites that no agent has"),
            ("sources", rule.sources, sources, "sources that have sent nothing"),
        ):
            if missing := sorted((named or frozenset()) - known):
                result = f"{rule.name} watches {what}: {', '.join(missing)}"
                yield Finding("watched", DOUBTFUL, result, f"correct `{key}`, unless they are still to come")


def _kafka(servers: str, topic: str, settings: dict[str, Any]) -> Iterator[Finding]:
    admin = KafkaAdminClient(**settings)
    try:
        cluster = admin.describe_cluster()["cluster_id"]
        yield Finding("broker", GOOD, f"{servers} answers, cluster {cluster}")
        (description,) = admin.describe_topics([topic])
    finally:
        admin.close()
    if description["error_code"] == TopicAuthorizationFailedError.errno:
        yield Finding("topic", BAD, f"this user may not see {topic}", "grant the rights that docs/kafka.md lists")
        return
    if description["error_code"] or not description["partitions"]:
        yield Finding("topic", BAD, f"there is no topic {topic}", "create it, or name another with --topic")
        return
    partitions = [TopicPartition(topic, partition["partition_index"]) for partition in description["partitions"]]
    leaderless = [p["partition_index"] for p in description["partitions"] if p["leader_id"] < 0]
    if leaderless:
        yield Finding("topic", BAD, f"{topic}: partitions {leaderless} have no leader", "check the brokers")
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
    """Up to SAMPLE of the last records of each partition, read by a consumer without a group."""
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    beginnings = consumer.beginning_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, max(beginnings[partition], ends[partition] - SAMPLE))
    latest: list[Any] = []
    deadline = time.monotonic() + READS_WITHIN_S
    while time.monotonic() < deadline and any(consumer.position(p) < ends[p] for p in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            latest += records
    return latest


def _records(records: list[Any]) -> Iterator[Finding]:
    if not records:
        yield Finding("records", DOUBTFUL, "the topic is empty", "start a source, or try `ingest simulate`")
        return
    age_s = clock.now_s() - max(record.timestamp for record in records) / 1000
    to_do = "check that the source is running" if age_s > OLD_S else ""
    yield Finding("last record", DOUBTFUL if to_do else GOOD, f"{_age(age_s)} old", to_do)
    faults = [fault for record in records for _, _, fault in contract.faulty_lines(record.value) if fault]
    sample = f"{len(records)} of the last records: "
    if faults:
        commonest = max(set(faults), key=faults.count)
        to_do = "fix the source; until then these lines become dead letters"
        yield Finding(
            "contract", BAD, sample + f"{len(faults)} lines break it, mostly: {masking.mask_reason(commonest)}", to_do
        )
    else:
        yield Finding("contract", GOOD, sample + "all keep it")


def _age(seconds: float) -> str:
    """A duration in its largest unit."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"
