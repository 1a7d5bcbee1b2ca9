"""JSON lines as text: one object to a line."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import polars as pl

from ksi_pipeline.connectors.ticket_files.packed import HEAD_CHARACTERS, PackedFile
from ksi_pipeline.connectors.ticket_files.text_rows import (
    BrokenRow,
    TextRows,
    cell_text,
    numbered,
)
from ksi_pipeline.core.errors import ContractError

_BATCH_ROWS = 50_000


def json_header(file: PackedFile, sample_rows: int) -> tuple[str, ...]:
    """Give the keys of the first objects; none of a blank file.

    Raises:
        ContractError: E_FILE_UNREADABLE where none of these lines is an object.
    """
    names: dict[str, None] = {}
    for line in islice(file.lines(), sample_rows):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            names |= dict.fromkeys(value)
    return tuple(names) or _no_objects(file)


def _no_objects(file: PackedFile) -> tuple[str, ...]:
    with file.open() as stream:
        if not stream.read(HEAD_CHARACTERS).strip():
            return ()
    raise ContractError(
        f"File {file.name}: none of its first lines is a JSON object. Nothing was loaded. "
        "Write one object to a line.",
        code="E_FILE_UNREADABLE",
    )


def json_pieces(file: PackedFile, columns: Sequence[str]) -> Iterator[TextRows]:
    """Yield the rows; a line that is no object is broken."""
    lines = (line for line in file.lines() if line.strip())
    at = 0
    while part := list(islice(lines, _BATCH_ROWS)):
        cells: dict[str, list[str]] = {name: [] for name in columns}
        numbers: list[int] = []
        broken: list[BrokenRow] = []
        for number, line in enumerate(part, at):
            try:
                value = json.loads(line, parse_float=str, parse_int=str)
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                broken.append(BrokenRow(number, "E_ROW_TYPE", "it is no JSON object"))
                continue
            numbers.append(number)
            for name in columns:
                cells[name].append(cell_text(value.get(name)))
        at += len(part)
        frame = pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))
        yield TextRows(numbered(frame, np.array(numbers, dtype=np.int64)), broken)
