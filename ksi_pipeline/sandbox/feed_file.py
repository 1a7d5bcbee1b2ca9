"""A file of feed rows for the fake POS API."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ConfigError


def read_rows(path: Path) -> list[dict[str, object]]:
    """Read the rows of a file, each with what an answer needs.

    Raises:
        ConfigError: E_SANDBOX_ROWS, saying what is wrong.
    """
    try:
        rows = _rows_of(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _no_rows(path, f"it cannot be read: {error}") from error
    if not isinstance(rows, list):
        raise _no_rows(path, "it is no list of rows")
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not {"time", "ext_ref_code"} <= row.keys():
            raise _no_rows(path, f"row {number} is no object with time and ext_ref_code")
    return rows


def _rows_of(path: Path) -> object:
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".parquet":
        return [
            {name: value for name, value in row.items() if value is not None}
            for row in pq.read_table(path).to_pylist()
        ]
    raise ValueError(f"the sandbox serves .json and .parquet files, not {path.suffix or 'this'}")


def _no_rows(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"Serving {path} failed: {why}. Nothing is served. Give a file of rows as in "
        "docs/how-to/connect-a-till.md.",
        code="E_SANDBOX_ROWS",
    )
