"""Reading the kept ticket files into tickets, lines, ticket hours, coverage and quarantine."""

import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import func, select

from ksi_pipeline.connectors.config import find_connector, load_connectors, of_kind
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.connectors.ticket_files.gather import (
    STAMPS,
    Drop,
    Gathered,
    Gathering,
    hours_open,
)
from ksi_pipeline.connectors.ticket_files.mapping import Mapping as FileMapping
from ksi_pipeline.connectors.ticket_files.mapping import load_mapping
from ksi_pipeline.connectors.ticket_files.personal import personal_columns
from ksi_pipeline.connectors.ticket_files.revise import Known, Revised, revise
from ksi_pipeline.connectors.ticket_files.text import TicketFile
from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.feed_coverage import COVERAGE, needed_coverage
from ksi_pipeline.core.file_coverage import file_coverage, uncontested
from ksi_pipeline.core.schemas import TICKET_LINES, TICKETS
from ksi_pipeline.core.tickets import AbsentMeans
from ksi_pipeline.core.time import DAY, LocalHour, Window, local_hours, local_midnight_utc
from ksi_pipeline.defs.steps.connector_state import is_asked, require_asked
from ksi_pipeline.defs.steps.ticket_inbox import take_by_hand
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.staged import StagedParquet, into_lake, live_paths, staging_room
from ksi_pipeline.store.store import Change, QuarantineRow, from_us, to_us
from ksi_pipeline.store.tables import TICKET_FILES
from ksi_pipeline.store.ticket_files import kept_ticket_files

COUNTS = (
    "rows_in",
    "rows_loaded",
    "rows_unchanged",
    "rows_quarantined",
    "rows_unmatched",
    "rows_skipped",
)
_SHOWN = 5
HourStarts = NDArray[np.int64]


@dataclass(slots=True)
class FilesReport:
    """What reading files gave; rows_in = the sum of the five after it.

    Attributes:
        failed: connector or file -> why it could not be read.
        personal: columns that look personal and were not read, by file.
        codes: how many rows, or whole files, were set aside for which reason.
    """

    file_count: int = 0
    rows_in: int = 0
    rows_loaded: int = 0
    rows_unchanged: int = 0
    rows_quarantined: int = 0
    rows_unmatched: int = 0
    rows_skipped: int = 0
    tickets: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    personal: dict[str, dict[str, str]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Source:
    """A connector, its mapping, and the sites that its codes belong to."""

    config: TicketFilesConfig
    mapping: FileMapping
    absent_means: AbsentMeans
    spaces: Mapping[str, Space]

    @property
    def zones(self) -> dict[str, str]:
        return {code: space.file.site.timezone for code, space in self.spaces.items()}


def parse_ticket_files(workspace: Workspace, only: str | None = None) -> FilesReport:
    """Read every kept file that was not read yet, in the order they came.

    Files with rows of a code that was linked since are read again for that code; all files of a
    connector are read again when its mapping, its absent_means or a time zone changed. A connector
    that fails leaves the others alone.
    """
    report = FilesReport()
    spaces = workspace.spaces()
    for config in of_kind(load_connectors(workspace.home.connectors), TicketFilesConfig):
        if only not in (None, config.id) or not kept_ticket_files(workspace.store, config.id):
            continue
        try:
            if only is None:
                _require_known_rules(workspace, config)
            source = _source(workspace, config, spaces)
        except ConfigError as error:
            if only is not None:
                raise
            report.failed[config.id] = f"{error.code}: {error}"
            continue
        _parse_again_where_rules_changed(workspace, source)
        _parse_connector(workspace, report, source)
    return report


def _require_known_rules(workspace: Workspace, config: TicketFilesConfig) -> None:
    """Refuse to read the past by a mapping that was changed and not tested since."""
    if config.active is None and is_asked(workspace, config):
        require_asked(workspace, config)


def reconcile_files(workspace: Workspace) -> dict[str, int]:
    """Add up what became of every row of every file that was read."""
    sums = [func.coalesce(func.sum(TICKET_FILES.c[name]), 0).label(name) for name in COUNTS]
    (row,) = workspace.store.ledger.rows(select(*sums))
    return {name: int(row[name]) for name in COUNTS}


def _source(workspace: Workspace, config: TicketFilesConfig, spaces: list[Space]) -> _Source:
    mapping = load_mapping(workspace.home.mapping(config.mapping))
    linked: dict[str, Space] = {}
    for space in spaces:
        for link in space.file.links:
            if link.connector != config.id:
                continue
            other = linked.setdefault(link.ext_ref_code, space)
            if other.file.site.timezone != space.file.site.timezone:
                raise ConfigError(
                    f"Code {link.ext_ref_code!r} of connector {config.id!r} is linked at sites in "
                    f"two time zones ({other.site_id}, {space.site_id}); the hours of its tickets "
                    "cannot be told. None of its files was read. Use a connector for each.",
                    code="E_CODE_ZONES",
                )
    return _Source(config, mapping, config.require_absent_means(), linked)


def _parse_again_where_rules_changed(workspace: Workspace, source: _Source) -> None:
    """Take back what was read by other rules, so that the kept files are read anew."""
    store, connector_id = workspace.store, source.config.id
    step = f"files:{connector_id}"
    known = json.loads(store.ledger.inputs_of(step) or "{}")
    zones = {space.site_id: space.file.site.timezone for space in source.spaces.values()}
    rules = digest(source.mapping.sha256, source.absent_means)
    now = {"rules": rules, "zones": {**known.get("zones", {}), **zones}}
    if now == known:
        return
    change = Change(cause=f"rules of {connector_id} changed", steps={step: json.dumps(now)})
    same_zones = all(zones.get(site, zone) == zone for site, zone in known.get("zones", {}).items())
    if known and (known["rules"] != rules or not same_zones):
        hours = store.retire(change, "ticket_hours", prefix=f"answer:{connector_id}/")
        covered = store.retire(change, "coverage", prefix=f"answer:{connector_id}/")
        for dataset in ("tickets", "ticket_lines"):
            files = store.ledger.live_files(dataset, prefix=f"file:{connector_id}/")
            change.retires += [row["file_id"] for row in files]
        _touch_hours(change, source, hours["ext_ref_code"], hours["hour_start_utc"])
        _touch_spans(change, source, covered)
        change.ticket_files_to_parse_again.append(connector_id)
    store.commit(change)


def _parse_connector(workspace: Workspace, report: FilesReport, source: _Source) -> None:
    files = kept_ticket_files(workspace.store, source.config.id)
    for number, row in enumerate(files):
        workspace.progress(f"file {row['name']}", number / len(files))
        if not row["is_parsed"]:
            _parse_file(workspace, report, source, row, None)
            continue
        unmatched = json.loads(row["unmatched_codes"] or "{}")
        linked = frozenset(unmatched) & frozenset(source.spaces)
        if linked:
            _parse_file(workspace, report, source, row, linked)


def _parse_file(
    workspace: Workspace,
    report: FilesReport,
    source: _Source,
    row: Row,
    only_codes: frozenset[str] | None,
) -> None:
    drop = Drop(
        connector_id=source.config.id,
        name=row["name"],
        raw_sha256=row["raw_sha256"],
        fetched_at_utc=from_us(row["fetched_at_utc"]),
        zones=source.zones,
        only_codes=only_codes,
    )
    change = Change(cause=f"file {drop.name} of {drop.connector_id}")
    report.file_count += 1
    with staging_room(workspace.home.lake, f"{drop.connector_id}-{row['file_id']}") as room:
        try:
            file = TicketFile(workspace.home.root / row["raw_path"], drop.name, source.mapping)
            _refuse_personal(file, drop.name, source.mapping, report)
            found, tickets, lines = _gather(file, source.mapping, drop, room)
        except ContractError as error:
            _refuse_file(change, report, drop, row, error)
            workspace.store.commit(change)
            return
        known = _known(workspace, drop.connector_id)
        revised = revise(tickets, lines, drop, found.scattered, known, room)
        _note_scattered(found, revised, source.mapping, drop)
        _set_aside(change, report, drop, found)
        sold = _sold(tickets)
        _add_files(workspace, change, drop, revised)
        _add_hours(workspace, change, source, drop, revised.hours)
        written = min(drop.fetched_at_utc, _written_at(row))
        _add_coverage(workspace, change, source, drop, found, sold, written)
        _count(change, report, row, drop, found, revised)
        workspace.store.commit(change)


def _gather(
    file: TicketFile, mapping: FileMapping, drop: Drop, room: Path
) -> tuple[Gathered, Path, Path]:
    tickets = StagedParquet(room / "tickets.parquet", TICKETS, STAMPS)
    lines = StagedParquet(room / "lines.parquet", TICKET_LINES, STAMPS)
    gathering = Gathering(mapping, drop, tickets, lines)
    try:
        for piece in file.pieces():
            gathering.add(piece)
        found = gathering.finish()
    finally:
        tickets.close()
        lines.close()
    return found, tickets.path, lines.path


def _refuse_personal(
    file: TicketFile, name: str, mapping: FileMapping, report: FilesReport
) -> None:
    """Report columns that look personal; one that the mapping reads refuses the file."""
    found = personal_columns(file.sample())
    read = {header: reason for header, reason in found.items() if header in mapping.headers()}
    if read:
        listed = ", ".join(f"{header!r} ({reason})" for header, reason in read.items())
        raise ContractError(
            f"File {name}: the mapping reads columns that look personal: {listed}. Nothing was "
            "loaded. Take them out of the mapping; tickets need no person.",
            code="E_PERSONAL_FIELD",
        )
    if found:
        report.personal[name] = found


def load_by_hand(workspace: Workspace, connector_id: str, path: Path) -> tuple[bool, FilesReport]:
    """Take one file for a connector, and read what is new of that connector.

    Returns:
        Whether the file was taken; False: it was before, or changed while it was read.

    Raises:
        ConfigError: the connector, its mapping or its absent_means is wrong or not there.
    """
    config = find_connector(workspace.home.connectors, connector_id, TicketFilesConfig)
    config.require_absent_means()
    load_mapping(workspace.home.mapping(config.mapping))
    is_taken = take_by_hand(workspace, config, path)
    return is_taken, parse_ticket_files(workspace, only=connector_id)


def _refuse_file(
    change: Change, report: FilesReport, drop: Drop, row: Row, error: ContractError
) -> None:
    change.quarantine.append(
        QuarantineRow(
            source=f"tickets:{drop.connector_id}",
            code=error.code,
            message=str(error),
            raw_sha256=drop.raw_sha256,
            row_number=-1,
            raw_value=None,
            first_seen_utc=drop.fetched_at_utc,
        )
    )
    counts = dict.fromkeys(COUNTS, 0)
    change.ticket_files_parsed.append((row["file_id"], {**counts, "unmatched_codes": "{}"}))
    report.failed[f"{drop.connector_id}/{drop.name}"] = f"{error.code}: {error}"
    report.codes[error.code] += 1


def _known(workspace: Workspace, connector_id: str) -> Known:
    root, prefix = workspace.home.root, f"file:{connector_id}/"
    ledger = workspace.store.ledger
    return Known(
        live_paths(list(ledger.live_files("tickets", prefix=prefix)), root),
        live_paths(list(ledger.live_files("ticket_lines", prefix=prefix)), root),
    )


def _note_scattered(found: Gathered, revised: Revised, mapping: FileMapping, drop: Drop) -> None:
    """Count the tickets that were refused only once the whole file was seen."""
    code = "E_DUP_TICKET" if mapping.grain == "ticket" else "E_TICKET_INCOMPLETE"
    why = (
        "stands in the file several times; which row holds is not guessed"
        if mapping.grain == "ticket"
        else "has rows in several places of the file, and one of them was refused"
    )
    columns = ("ext_ref_code", "ticket_id", "hour_start_utc", "row_number", "line_count")
    for ext, ticket, hour, first, count in revised.refused.select(columns).iter_rows():
        found.rows_good -= count
        found.refused_codes[code] += count
        found.open_hours.setdefault((ext, to_us(hour)), code)
        found.refuse_ticket(drop, code, f"ticket {ticket!r} of code {ext!r} {why}", first)


def _set_aside(change: Change, report: FilesReport, drop: Drop, found: Gathered) -> None:
    def add(code: str, message: str, row_number: int, raw_value: str | None) -> None:
        change.quarantine.append(
            QuarantineRow(
                source=f"tickets:{drop.connector_id}",
                code=code,
                message=message,
                raw_sha256=drop.raw_sha256,
                row_number=row_number,
                raw_value=raw_value,
                first_seen_utc=drop.fetched_at_utc,
            )
        )

    for row in found.refused:
        add(row.code, row.message, row.row_number, row.raw_value)
    shown = Counter(row.code for row in found.refused)
    for code, count in found.refused_codes.items():
        if count > shown[code]:
            text = (
                f"{drop.label}: {count} rows were refused with {code}; the quarantine shows "
                f"{shown[code]} of them. Correct the mapping or the till; the file is kept."
            )
            add(code, text, -1, None)
    for number, (code, count) in enumerate(sorted(found.unmatched.items())):
        text = (
            f"{drop.label}: {count} of {found.rows_in} rows carry ext_ref_code {code!r}, which is "
            "linked to no unit. They are kept as unmatched and left out. Link the code to a unit "
            "in the space file (links:, with its from date); the next run then loads them."
        )
        add("E_UNKNOWN_CODE", text, found.unmatched_first[code], None)
        if number < _SHOWN:
            report.messages.append(f"E_UNKNOWN_CODE: {text}")
    report.messages += [f"{row.code}: {row.message}" for row in found.refused[:_SHOWN]]
    report.codes.update(found.refused_codes)
    if found.unmatched:
        report.codes["E_UNKNOWN_CODE"] += found.unmatched.total()


def _add_files(workspace: Workspace, change: Change, drop: Drop, revised: Revised) -> None:
    lake = workspace.home.lake
    for dataset, path, count in (
        ("tickets", revised.tickets, revised.ticket_count),
        ("ticket_lines", revised.lines, revised.line_count),
    ):
        if count:
            folder = lake / dataset / drop.connector_id
            written = into_lake(path, count, folder, f"{to_us(drop.fetched_at_utc)}")
            change.adds.append((dataset, _file_source(drop), "all", written))


def _file_source(drop: Drop) -> str:
    return f"file:{drop.connector_id}/{_name(drop)}"


def _name(drop: Drop) -> str:
    later = f"-{digest(sorted(drop.only_codes))[:12]}" if drop.only_codes else ""
    return f"{to_us(drop.fetched_at_utc)}-{drop.raw_sha256[:16]}{later}"


def _add_hours(
    workspace: Workspace, change: Change, source: _Source, drop: Drop, hours: pa.Table
) -> None:
    """Append the hours that are not as they were known, by site."""
    hours = _news(workspace, drop, hours)
    sites = pa.array(
        [source.spaces[code].site_id for code in hours["ext_ref_code"].to_pylist()], pa.string()
    )
    for site_id in sorted(set(sites.to_pylist())):
        rows = hours.filter(pc.equal(sites, site_id))
        name = f"answer:{drop.connector_id}/{site_id}/{_name(drop)}"
        workspace.store.replace(change, "ticket_hours", rows, source=name)
    _touch_hours(change, source, hours["ext_ref_code"], hours["hour_start_utc"])


def _news(workspace: Workspace, drop: Drop, hours: pa.Table) -> pa.Table:
    store, prefix = workspace.store, f"answer:{drop.connector_id}/"
    paths = live_paths(
        list(store.ledger.live_files("ticket_hours", prefix=prefix)), store.home.root
    )
    if not paths or not hours.num_rows:
        return hours
    key = ["ext_ref_code", "hour_start_utc"]
    content = [
        n for n in hours.schema.names if n not in (*key, *STAMPS, "fetched_at_utc", "row_number")
    ]
    came = pl.lit(drop.fetched_at_utc).cast(pl.Datetime("us", "UTC"))
    new = pl.DataFrame(pl.from_arrow(hours))
    held = (
        pl.scan_parquet(paths)
        .filter(pl.col("fetched_at_utc") < came)
        .join(new.lazy().select(key), on=key, how="semi")
        .sort("fetched_at_utc", "raw_sha256")
        .unique(key, keep="last")
        .select(*key, *content, pl.lit(True).alias("_held"))
        .collect()
    )
    pairs = new.join(held, on=key, how="left", suffix="_held", maintain_order="left")
    same = [pl.col(n).eq_missing(pl.col(f"{n}_held")) for n in content]
    is_new = pairs.select((~pl.all_horizontal(same) | pl.col("_held").is_null()).alias("n"))["n"]
    return hours.filter(is_new.to_arrow())


def _touch_hours(change: Change, source: _Source, codes: pa.Array, starts: pa.Array) -> None:
    units = _units(source)
    for code, start in zip(codes.to_pylist(), starts.cast(pa.int64()).to_pylist(), strict=True):
        change.affected |= {(site, unit, start) for site, unit in units.get(code, ())}


def _units(source: _Source) -> dict[str, set[tuple[str, str]]]:
    units: dict[str, set[tuple[str, str]]] = {}
    for space in {space.site_id: space for space in source.spaces.values()}.values():
        for link in space.file.links:
            if link.connector == source.config.id:
                units.setdefault(link.ext_ref_code, set()).add((space.site_id, link.unit))
    return units


def _add_coverage(
    workspace: Workspace,
    change: Change,
    source: _Source,
    drop: Drop,
    found: Gathered,
    sold: Mapping[str, HourStarts],
    written_at_utc: datetime,
) -> None:
    spoilt = {key: why for key, why in found.open_hours.items() if key[0] in source.spaces}
    codes = sorted({*sold, *(code for code, _ in spoilt)})
    by_site: dict[str, list[str]] = {}
    for code in codes:
        by_site.setdefault(source.spaces[code].site_id, []).append(code)
    for site_id, own in by_site.items():
        space = source.spaces[own[0]]
        mine = {code: sold[code] for code in own if code in sold}
        bad = {key: why for key, why in spoilt.items() if key[0] in own}
        ends = [at for starts in mine.values() for at in (starts[0], starts[-1])]
        hours = _hours_around(space, [*ends, *(at for _, at in bad)])
        table = file_coverage(
            drop.connector_id,
            mine,
            bad,
            hours_open(found, own),
            hours,
            absent_means=source.absent_means,
            written_at_utc=written_at_utc,
            fetched_at_utc=drop.fetched_at_utc,
            whole_days=source.mapping.covers == "days",
        )
        needed = _needed(workspace, drop, space, table)
        if needed.num_rows:
            name = f"answer:{drop.connector_id}/{site_id}/{_name(drop)}"
            workspace.store.replace(change, "coverage", needed, source=name)
            _touch_spans(change, source, needed)


def _sold(tickets: Path) -> dict[str, HourStarts]:
    """Give the hours of each code in which the file has good tickets, sorted."""
    hours = (
        pl.scan_parquet(tickets)
        .select("ext_ref_code", pl.col("hour_start_utc").to_physical())
        .unique()
        .sort("ext_ref_code", "hour_start_utc")
        .collect()
    )
    return {
        str(code): part["hour_start_utc"].to_numpy()
        for (code,), part in hours.partition_by("ext_ref_code", as_dict=True).items()
    }


def _hours_around(space: Space, keys: list[int]) -> list[LocalHour]:
    """Give the hours of the whole local days that hold some hours."""
    zone = space.file.site.zone_info
    first = from_us(int(min(keys))).astimezone(zone).date()
    last = from_us(int(max(keys))).astimezone(zone).date()
    window = Window(local_midnight_utc(first, zone), local_midnight_utc(last + DAY, zone))
    return list(local_hours(window, zone))


def _needed(workspace: Workspace, drop: Drop, space: Space, new: pa.Table) -> pa.Table:
    """Keep of new coverage what says something new; what nobody spoke of before always does."""
    prefix = f"answer:{drop.connector_id}/{space.site_id}/"
    existing = workspace.store.read("coverage", prefix=prefix)
    if not existing.num_rows or not new.num_rows:
        return new
    first, last = pc.min(new["from_utc"]), pc.max(new["to_utc"])
    near = existing.filter(
        pc.and_(
            pc.less(existing["from_utc"], last),
            pc.greater(existing["to_utc"], first),
        )
    )
    is_free = uncontested(new, near, set(new["key"].to_pylist()))
    contested = needed_coverage(
        new.filter(pa.array(~is_free)),
        near,
        final_after=workspace.final_after,
        zone=space.file.site.zone_info,
    )
    return pa.concat_tables([new.filter(pa.array(is_free)), contested]).cast(COVERAGE)


def _touch_spans(change: Change, source: _Source, covered: pa.Table) -> None:
    """Touch every hour that coverage speaks about."""
    known = {space.site_id: space for space in source.spaces.values()}
    for space in known.values():
        own = {code for code, other in source.spaces.items() if other.site_id == space.site_id}
        spans = [
            (row["key"], row["from_utc"], row["to_utc"])
            for row in covered.select(["key", "from_utc", "to_utc"]).to_pylist()
            if row["key"] in own
        ]
        if not spans:
            continue
        window = Window(min(begin for _, begin, _ in spans), max(end for *_, end in spans))
        hours = list(local_hours(window, space.file.site.zone_info))
        firsts = [to_us(hour.from_utc) for hour in hours]
        starts = [to_us(hour.start_utc) for hour in hours]
        units = _units(source)
        for code, begin, end in spans:
            # a span may begin inside its hour
            low = max(bisect_right(firsts, to_us(begin)) - 1, 0)
            inside = starts[low : bisect_left(firsts, to_us(end))]
            for site, unit in units[code]:
                change.affected.update((site, unit, at) for at in inside)


def _written_at(row: Row) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row["mtime_ns"] // 1000)


def _count(
    change: Change,
    report: FilesReport,
    row: Row,
    drop: Drop,
    found: Gathered,
    revised: Revised,
) -> None:
    """Write down what became of every row of the file."""
    counts = {
        "rows_in": found.rows_in,
        "rows_loaded": found.rows_good - revised.rows_unchanged,
        "rows_unchanged": revised.rows_unchanged,
        "rows_quarantined": found.refused_codes.total(),
        "rows_unmatched": found.unmatched.total(),
        "rows_skipped": found.rows_skipped,
    }
    for name, count in counts.items():
        setattr(report, name, getattr(report, name) + count)
    report.tickets += revised.ticket_count
    unmatched = dict(found.unmatched)
    if drop.only_codes is not None:
        before = json.loads(row["unmatched_codes"])
        unmatched = {c: n for c, n in before.items() if c not in drop.only_codes}
        moved = sum(before.values()) - sum(unmatched.values())
        counts = {name: int(row[name]) + count for name, count in counts.items()}
        # these rows were counted when the file came, as unmatched
        counts["rows_in"] = int(row["rows_in"])
        counts["rows_unmatched"] = int(row["rows_unmatched"]) - moved
    change.ticket_files_parsed.append(
        (row["file_id"], {**counts, "unmatched_codes": json.dumps(unmatched, sort_keys=True)})
    )
