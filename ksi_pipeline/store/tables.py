"""The ledger's tables (SQLAlchemy Core). Instants are microseconds since the epoch, UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

FILES = Table(
    "files",
    METADATA,
    Column("file_id", Integer, primary_key=True, autoincrement=True),
    Column("dataset", String, nullable=False),
    Column("source", String, nullable=False),
    Column("partition", String, nullable=False),
    Column("path", String, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("is_live", Boolean, nullable=False, default=True),
    Index("files_live", "dataset", "is_live", "source"),
)
# Two writers that both replace one source's rows would otherwise both count.
Index(
    "files_one_live",
    FILES.c.dataset,
    FILES.c.source,
    FILES.c.partition,
    unique=True,
    sqlite_where=FILES.c.is_live,
    postgresql_where=FILES.c.is_live,
)

CHUNKS = Table(
    "chunks",
    METADATA,
    Column("chunk_id", String, primary_key=True),
    Column("site_id", String, nullable=False),
    Column("camera_id", String, nullable=False),
    Column("path", String, nullable=False),
    Column("start_utc", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    # hash of everything the result depends on: bytes, camera, detector, carried state
    Column("done_key", String),
    Column("state_json", Text),
    Column("status", String, nullable=False),
    Column("message", Text),
    Column("observed_s", Float),
)

FETCHES = Table(
    "fetches",
    METADATA,
    Column("fetch_id", Integer, primary_key=True, autoincrement=True),
    Column("connector_id", String, nullable=False),
    Column("site_id", String, nullable=False),
    Column("from_utc", BigInteger, nullable=False),
    Column("to_utc", BigInteger, nullable=False),
    Column("codes", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("raw_sha256", String, nullable=False),
    Column("raw_path", String, nullable=False),
    Column("fetched_at_utc", BigInteger, nullable=False),
    Column("is_parsed", Boolean, nullable=False, default=False),
    Column("rows_in", Integer),
    Column("rows_loaded", Integer),
    Column("rows_unchanged", Integer),
    Column("rows_quarantined", Integer),
    Column("rows_unmatched", Integer),
    Index("fetches_question", "connector_id", "site_id", "from_utc", "to_utc"),
)

# How far a connector has come with the configuration that has this hash; another hash is a draft.
CONNECTOR_STATES = Table(
    "connector_states",
    METADATA,
    Column("connector_id", String, primary_key=True),
    Column("config_hash", String, nullable=False),
    Column("state", String, nullable=False),
    # with this configuration or an earlier one: once asked, its silence has to be explained
    Column("has_been_active", Boolean, nullable=False),
    Column("tested_at_utc", BigInteger, nullable=False),
    Column("activated_at_utc", BigInteger),
)

# Ticket files that were dropped or loaded by hand. One row for each time that a file came.
TICKET_FILES = Table(
    "ticket_files",
    METADATA,
    Column("file_id", Integer, primary_key=True, autoincrement=True),
    Column("connector_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("raw_sha256", String, nullable=False),
    Column("raw_path", String, nullable=False),
    # no two of one connector are the same: of two revisions of a ticket the later holds
    Column("fetched_at_utc", BigInteger, nullable=False),
    Column("is_parsed", Boolean, nullable=False, default=False),
    Column("rows_in", BigInteger),
    Column("rows_loaded", BigInteger),
    Column("rows_unchanged", BigInteger),
    Column("rows_quarantined", BigInteger),
    Column("rows_unmatched", BigInteger),
    Column("rows_skipped", BigInteger),
    # JSON: rows of each code that was linked to nothing
    Column("unmatched_codes", Text),
    UniqueConstraint("connector_id", "fetched_at_utc"),
)

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("quarantine_id", Integer, primary_key=True, autoincrement=True),
    Column("source", String, nullable=False),
    Column("code", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("raw_sha256", String, nullable=False),
    Column("row_number", Integer, nullable=False),
    Column("raw_value", Text),
    Column("first_seen_utc", BigInteger, nullable=False),
    UniqueConstraint("source", "code", "raw_sha256", "row_number"),
)

AFFECTED_HOURS = Table(
    "affected_hours",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("site_id", String, nullable=False),
    Column("unit_id", String, nullable=False),
    Column("hour_start_utc", BigInteger, nullable=False),
    Column("cause", String, nullable=False),
    Column("build_id", Integer),
    Index("affected_open", "build_id"),
)

STEPS = Table(
    "steps",
    METADATA,
    Column("step", String, primary_key=True),
    Column("inputs_hash", String, nullable=False),
)

# One row for each published snapshot; affected hours point to the build that consumed them.
BUILDS = Table(
    "builds",
    METADATA,
    Column("build_id", Integer, primary_key=True, autoincrement=True),
    Column("last_seq", Integer, nullable=False),
    Column("content_sha256", String, nullable=False),
)

# How each site-day was counted: one row for each version, the current one and those before it. A
# later row is a later count. The files of the current version are those that FILES shows as live.
COUNT_VERSIONS = Table(
    "count_versions",
    METADATA,
    Column("version_id", Integer, primary_key=True, autoincrement=True),
    Column("site_id", String, nullable=False),
    Column("day", String, nullable=False),
    Column("count_version", String, nullable=False),
    Column("is_current", Boolean, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("space_version", String, nullable=False),
    Column("points_version", String, nullable=False),
    # first instant after all points of the day
    Column("until_utc", BigInteger, nullable=False),
    Column("visits_file", Integer),
    Column("line_crossings_file", Integer),
    UniqueConstraint("site_id", "day", "count_version"),
    # SQLite would otherwise give a deleted row's number again, and a later count an earlier number.
    sqlite_autoincrement=True,
)

# What a count version stands for; it is the same for most days of a site.
COUNT_RECIPES = Table(
    "count_recipes",
    METADATA,
    Column("count_version", String, primary_key=True),
    Column("counted_with", Text, nullable=False),
)

# Pulls of connectors of kind sql. One row for each window that was asked for and kept, also where
# it had no row or the rows it had before.
SQL_PULLS = Table(
    "sql_pulls",
    METADATA,
    Column("pull_id", Integer, primary_key=True, autoincrement=True),
    Column("connector_id", String, nullable=False),
    # hash of what was asked but for the window; another one begins again
    Column("question", String, nullable=False),
    # watermarks asked for: microseconds since the epoch, UTC, or the numbers themselves
    Column("from_mark", BigInteger, nullable=False),
    Column("to_mark", BigInteger, nullable=False),
    # largest watermark of its rows, below to_mark; null where there was none
    Column("last_mark", BigInteger),
    # asked by hand: says nothing of how far the connector has come
    Column("is_by_hand", Boolean, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("rows_hash", String, nullable=False),
    # null where the rows are those of an earlier pull and nothing is to be read
    Column("file_id", Integer),
    # hours that its tickets and those before it cover, whole hours inside; null: none
    Column("covers_from_utc", BigInteger),
    Column("covers_to_utc", BigInteger),
    Column("asked_at_utc", BigInteger, nullable=False),
    Index("sql_pulls_question", "connector_id", "question", "from_mark"),
    Index("sql_pulls_file", "file_id"),
)

# What targets are known to hold: one row for each partition of a mart.
PUBLISH_RECEIPTS = Table(
    "publish_receipts",
    METADATA,
    Column("target_id", String, primary_key=True),
    Column("mart", String, primary_key=True),
    # of business dates, like 2026-01; whole for a mart that is not in months
    Column("month", String, primary_key=True),
    Column("batch_id", String, nullable=False),
    # false from before the batch becomes visible until the target was found to hold it
    Column("is_done", Boolean, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    # JSON, read back from the target; null while it is not done
    Column("figures", Text),
    Column("published_at_utc", BigInteger, nullable=False),
)
