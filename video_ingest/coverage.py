"""Coverage rows of a chunk: which time was seen, and which was not, and why.

Missing is never zero: a span that a chunk should hold and does not is a row of its own, with
nothing observed. Spans are UTC, half-open, in order, and do not overlap within a chunk.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from video_ingest.contract import COVERAGE, CameraSpec, Chunk
from video_ingest.decode import STALLED, DecodeReport
from video_ingest.instants import SECOND_US, from_us, seconds_to_us, to_us

TRUNCATED = "E_CHUNK_TRUNCATED"
FRAMES_MISSING = "E_FRAMES_MISSING"
OVERLAPPED = "overlapped"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, [from_us, to_us), with one status; microseconds UTC."""

    from_us: int
    to_us: int
    status: str
    reason: str | None = None


def spans_read(
    report: DecodeReport, clock_offset_us: int, owned_from_us: int | None, nominal_s: float | None
) -> list[Span]:
    """Spans of a chunk that could be read.

    Args:
        report: of a pass over the whole chunk; at least one span.
        clock_offset_us: by which the camera's clock is ahead.
        owned_from_us: UTC instant before which an earlier chunk owns the time; None for none.
        nominal_s: length the recorder was set to, used where the container does not tell.

    Returns:
        `complete` where frames were read, `partial` where they are missing: between two frames
        (E_FRAMES_MISSING) or at the end (E_CHUNK_TRUNCATED; E_CHUNK_STALLED where the decoder
        hung). One empty `complete` span with reason `overlapped` where earlier chunks own it all.
    """
    begin = report.spans[0][0]
    nominal_end = report.nominal_end_us
    if nominal_end is None and nominal_s is not None:
        nominal_end = begin + seconds_to_us(nominal_s)
    spans: list[Span] = []
    for first, last in report.spans:
        if spans:
            spans.append(Span(spans[-1].to_us, first, "partial", FRAMES_MISSING))
        spans.append(Span(first, last, "complete"))
    end = spans[-1].to_us
    if nominal_end is not None and nominal_end > end:
        if not report.has_stalled and report.is_close(nominal_end):
            spans[-1] = Span(spans[-1].from_us, nominal_end, "complete")
        else:
            reason = STALLED if report.has_stalled else TRUNCATED
            spans.append(Span(end, nominal_end, "partial", reason))
    shifted = [_clipped(span, clock_offset_us, owned_from_us) for span in spans]
    kept = [span for span in shifted if span.to_us > span.from_us]
    return kept or [Span(shifted[-1].to_us, shifted[-1].to_us, "complete", OVERLAPPED)]


def span_unreadable(
    chunk: Chunk, clock_offset_us: int, owned_from_us: int | None, nominal_s: float, code: str
) -> Span:
    """The span of a chunk that gives no frame; empty where its length is not known."""
    begin = to_us(chunk.start_utc)
    span = Span(begin, begin + seconds_to_us(nominal_s), "unreadable", code)
    return _clipped(span, clock_offset_us, owned_from_us)


def coverage_table(spans: list[Span], camera: CameraSpec, chunk: Chunk) -> pa.Table:
    """The spans in the form of the contract COVERAGE."""
    return pa.Table.from_pylist([_row(span, camera, chunk) for span in spans], schema=COVERAGE)


def _row(span: Span, camera: CameraSpec, chunk: Chunk) -> dict[str, Any]:
    length_s = (span.to_us - span.from_us) / SECOND_US
    return {
        "site_id": camera.site_id,
        "source_kind": "camera",
        "source_id": camera.camera_id,
        "key": chunk.chunk_id,
        "from_utc": from_us(span.from_us),
        "to_utc": from_us(span.to_us),
        "status": span.status,
        "reason": span.reason,
        "observed_s": length_s if span.status == "complete" else 0.0,
        "expected_s": length_s,
        "fetched_at_utc": None,
    }


def _clipped(span: Span, clock_offset_us: int, owned_from_us: int | None) -> Span:
    begin, end = span.from_us - clock_offset_us, span.to_us - clock_offset_us
    if owned_from_us is not None:
        begin = max(begin, owned_from_us)
    return Span(begin, max(begin, end), span.status, span.reason)
