"""Builds a published file from few words: the base relations as the publisher leaves them, then `metrics.install`.

`World` takes calls, agents' states and campaigns with everything unsaid filled in by the rules of KPIS.md, so that a
test says only what it is about.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from metrics import install

BASE = """
CREATE TABLE calls (
    call_id VARCHAR, linked_id VARCHAR, campaign VARCHAR, queue VARCHAR, direction VARCHAR, channel VARCHAR,
    language VARCHAR, priority INTEGER, agent VARCHAR, caller VARCHAR, callee VARCHAR, dialed_at TIMESTAMPTZ,
    connected_at TIMESTAMPTZ, answered_by VARCHAR, consent VARCHAR, asked_for_human_at TIMESTAMPTZ,
    queued_at TIMESTAMPTZ, answered_at TIMESTAMPTZ, abandoned_at TIMESTAMPTZ, ended_at TIMESTAMPTZ,
    wrapped_at TIMESTAMPTZ, left_at TIMESTAMPTZ, left_reason VARCHAR, cohort_at TIMESTAMPTZ, outcome VARCHAR,
    wait_s DOUBLE, talk_s DOUBLE, hold_s DOUBLE, wrap_s DOUBLE, handle_s DOUBLE, missed_offers INTEGER,
    transferred BOOLEAN, disposition VARCHAR, sale BOOLEAN, amount DOUBLE, currency VARCHAR, score INTEGER,
    ended_by VARCHAR, inferred_end BOOLEAN, clock_skew BOOLEAN, day DATE, formula VARCHAR, threshold_s DOUBLE,
    target DOUBLE, wait_at_threshold_counts BOOLEAN, short_abandon_s DOUBLE, term_from TIMESTAMP,
    in_threshold BOOLEAN);
CREATE TABLE agent_states (
    agent VARCHAR, state VARCHAR, reason VARCHAR, campaign VARCHAR, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ,
    seconds DOUBLE, day DATE);
CREATE TABLE agents (
    agent VARCHAR, name VARCHAR, team VARCHAR, site VARCHAR, languages VARCHAR[], state VARCHAR, reason VARCHAR,
    since TIMESTAMPTZ, campaign VARCHAR, call_id VARCHAR);
CREATE TABLE campaigns (
    campaign VARCHAR, client VARCHAR, name VARCHAR, language VARCHAR, timezone VARCHAR, client_name VARCHAR,
    give_up_after_s DOUBLE);
CREATE TABLE sla_terms (
    campaign VARCHAR, valid_from TIMESTAMP, valid_to TIMESTAMP, formula VARCHAR, threshold_s DOUBLE, target DOUBLE,
    wait_at_threshold_counts BOOLEAN, short_abandon_s DOUBLE);
CREATE TABLE ingest_status (
    as_of TIMESTAMPTZ, published_at TIMESTAMPTZ, last_event_at TIMESTAMPTZ, records BIGINT, events BIGINT,
    duplicates BIGINT, dead_letters BIGINT, lag BIGINT, version VARCHAR, lateness_s DOUBLE);
CREATE TABLE dead_letters (
    topic VARCHAR, "partition" INTEGER, "offset" BIGINT, line INTEGER, received_at TIMESTAMPTZ, reason VARCHAR,
    payload VARCHAR);
"""
