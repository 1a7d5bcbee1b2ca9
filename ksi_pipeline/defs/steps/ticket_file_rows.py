"""What became of every row of a file: counts, quarantine and what people are told."""

import json
from collections import Counter
from dataclasses import dataclass, field

from ksi_pipeline.connectors.ticket_files.drop import Drop, Gathered
from ksi_pipeline.connectors.ticket_files.mapping import Mapping
from ksi_pipeline.connectors.ticket_files.revise import Revised
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Change, QuarantineRow

COUNTS = (
    "rows_in",
    "rows_loaded",
    "rows_unchanged",
    "rows_quarantined",
    "rows_unmatched",
    "rows_skipped",
)
_SHOWN = 5


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


def refuse_file(
    change: Change, report: FilesReport, drop: Drop, row: Row, error: ContractError
) -> None:
    """Set a file aside that cannot be read as a whole."""
    _quarantine(change, drop, error.code, str(error))
    counts = dict.fromkeys(COUNTS, 0)
    change.ticket_files_parsed.append((row["file_id"], {**counts, "unmatched_codes": "{}"}))
    report.failed[f"{drop.connector_id}/{drop.name}"] = f"{error.code}: {error}"
    report.codes[error.code] += 1


def note_scattered(found: Gathered, revised: Revised, mapping: Mapping, drop: Drop) -> None:
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


def set_aside(change: Change, report: FilesReport, drop: Drop, found: Gathered) -> None:
    """Put refused rows and unknown codes into the quarantine, and tell the first of them."""
    for row in found.refused:
        _quarantine(change, drop, row.code, row.message, row.row_number, row.raw_value)
    shown = Counter(row.code for row in found.refused)
    for code, count in found.refused_codes.items():
        if count > shown[code]:
            text = (
                f"{drop.label}: {count} rows were refused with {code}; the quarantine shows "
                f"{shown[code]} of them. Correct the mapping or the till; the file is kept."
            )
            _quarantine(change, drop, code, text)
    for number, (code, count) in enumerate(sorted(found.unmatched.items())):
        text = (
            f"{drop.label}: {count} of {found.rows_in} rows carry ext_ref_code {code!r}, which is "
            "linked to no unit. They are kept as unmatched and left out. Link the code to a unit "
            "in the space file (links:, with its from date); the next run then loads them."
        )
        _quarantine(change, drop, "E_UNKNOWN_CODE", text, found.unmatched_first[code])
        if number < _SHOWN:
            report.messages.append(f"E_UNKNOWN_CODE: {text}")
    report.messages += [f"{row.code}: {row.message}" for row in found.refused[:_SHOWN]]
    report.codes.update(found.refused_codes)
    if found.unmatched:
        report.codes["E_UNKNOWN_CODE"] += found.unmatched.total()


def count_rows(
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
    report.tickets += revised.ticket_count - revised.taken_back_count
    if revised.taken_back_count:
        report.messages.append(
            f"{drop.label}: {revised.taken_back_count} tickets of its days that earlier files held "
            "are not in it. They count no longer, because the mapping says complete: true."
        )
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


def _quarantine(
    change: Change,
    drop: Drop,
    code: str,
    message: str,
    row_number: int = -1,
    raw_value: str | None = None,
) -> None:
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
