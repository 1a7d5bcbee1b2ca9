"""A connector of files with its mapping and its sites, and which hours of units it touches."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.connectors.ticket_files.drop import Drop
from ksi_pipeline.connectors.ticket_files.mapping import Mapping as FileMapping
from ksi_pipeline.connectors.ticket_files.mapping import load_mapping
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.tickets import AbsentMeans
from ksi_pipeline.core.time import Window, local_hours
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.store import Change

# Whose tickets come as kept files, dropped or pulled.
FileLikeConfig = TicketFilesConfig | SqlConfig


@dataclass(frozen=True, slots=True)
class FileSource:
    """A connector, its mapping, and the sites that its codes belong to."""

    config: FileLikeConfig
    mapping: FileMapping
    absent_means: AbsentMeans
    spaces: Mapping[str, Space]

    @property
    def zones(self) -> dict[str, str]:
        """Code -> IANA zone of its site."""
        return {code: space.file.site.timezone for code, space in self.spaces.items()}


def load_source(workspace: Workspace, config: FileLikeConfig, spaces: list[Space]) -> FileSource:
    """Read the mapping of a connector, and find the sites of its codes.

    Raises:
        ConfigError: the mapping or absent_means is wrong, or a code lies in two time zones.
    """
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
    return FileSource(config, mapping, config.require_absent_means(), linked)


def parse_again_where_rules_changed(workspace: Workspace, source: FileSource) -> None:
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
        touch_hours(change, source, hours["ext_ref_code"], hours["hour_start_utc"])
        touch_spans(change, source, covered)
        change.ticket_files_to_parse_again.append(connector_id)
    store.commit(change)


def touch_hours(change: Change, source: FileSource, codes: pa.Array, starts: pa.Array) -> None:
    """Touch these hours for every unit that their codes are linked to."""
    units = _units(source)
    for code, start in zip(codes.to_pylist(), starts.cast(pa.int64()).to_pylist(), strict=True):
        change.affected |= {(site, unit, start) for site, unit in units.get(code, ())}


def touch_spans(change: Change, source: FileSource, covered: pa.Table) -> None:
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


def _units(source: FileSource) -> dict[str, set[tuple[str, str]]]:
    units: dict[str, set[tuple[str, str]]] = {}
    for space in {space.site_id: space for space in source.spaces.values()}.values():
        for link in space.file.links:
            if link.connector == source.config.id:
                units.setdefault(link.ext_ref_code, set()).add((space.site_id, link.unit))
    return units


def version_name(drop: Drop) -> str:
    """Name what one reading of a file gave, in the ledger."""
    later = f"-{digest(sorted(drop.only_codes))[:12]}" if drop.only_codes else ""
    return f"{to_us(drop.fetched_at_utc)}-{drop.raw_sha256[:16]}{later}"
