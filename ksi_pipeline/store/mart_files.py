"""Marts as Parquet: one file for each month of business dates, or one for the whole mart.

`<mart>/business_month=2026-01/part-<hash>.parquet` of a fact with a business_date, and
`<mart>.parquet` of any other mart. business_month is only in the path: in the rows, business_date
says it. A month whose rows are those of the snapshot before is a hard link to its file, and is not
written again: a restated day writes one month, not thirty years.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.durable import sha256, sync
from ksi_pipeline.store.files import write_atomically

MANIFEST = "manifest.json"
_DATE = "business_date"
# Rows of a file are in the order of its unit and its hour or day, then of the other columns.
_FIRST = ("unit_key", "hour_start_utc", _DATE)
# Of the file of a mart without a row, which tells its columns. Not Hive's name for null: Arrow
# finds no type for a column of which it has seen nothing else.
_NO_MONTH = "none"
# What a fingerprint depends on besides the rows; a new number writes every file again.
_LAYOUT = 1
# A disk takes several waits together.
_SYNCS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class MartFile:
    """One file of a mart.

    Attributes:
        path: below the folder of the snapshot.
        business_month: of its rows, like 2026-01; null where the mart is one file.
        sha256: of its bytes.
        fingerprint: of its rows, their columns and their types; null where the mart is one file.
    """

    path: str
    business_month: str | None
    rows: int
    bytes: int
    sha256: str
    fingerprint: str | None


Marts = dict[str, list[MartFile]]


def write_marts(connection: duckdb.DuckDBPyConnection, folder: Path, before: Path | None) -> Marts:
    """Write every table of schema `marts` below a new folder.

    Args:
        connection: to the build database.
        folder: of the snapshot.
        before: folder of the snapshot before; null where there is none.

    Returns:
        The files of each mart, by its name, in order.

    Raises:
        ContractError: E_MART_DATE, rows of a mart have no business_date.
    """
    folder.mkdir(parents=True)
    known = _known_files(before)
    names = connection.execute(
        "select table_name from information_schema.tables "
        "where table_schema = 'marts' order by table_name"
    ).fetchall()
    marts = {name: _write_mart(connection, folder, str(name), before, known) for (name,) in names}
    _sync_folders_below(folder)
    return marts


def write_manifest(folder: Path, number: int, marts: Mapping[str, Sequence[MartFile]]) -> None:
    """Write which files the snapshot has; a folder without a manifest is not whole."""
    listed = {
        mart: {"rows": sum(file.rows for file in files), "files": [asdict(file) for file in files]}
        for mart, files in marts.items()
    }
    text = json.dumps({"snapshot": number, "marts": listed}, indent=2) + "\n"
    write_atomically(folder / MANIFEST, lambda temporary: temporary.write_text(text))


def read_manifest(folder: Path) -> Marts:
    """Give the files of a snapshot by mart; none where it has no manifest."""
    try:
        text = (folder / MANIFEST).read_text()
    except FileNotFoundError:
        return {}
    marts = json.loads(text)["marts"]
    return {
        mart: [MartFile(**file) for file in told.get("files", ())] for mart, told in marts.items()
    }


def content_hash(marts: Mapping[str, Sequence[MartFile]]) -> str:
    """Hash what readers find: the names and the bytes of all files."""
    digest = hashlib.sha256()
    for files in marts.values():
        for file in files:
            digest.update(f"{file.path}\n{file.sha256}\n".encode())
    return digest.hexdigest()


def is_whole(folder: Path, marts: Mapping[str, Sequence[MartFile]]) -> bool:
    """Whether a snapshot still has all these files, with the bytes that they were written with."""
    return all(_is_as_listed(folder, file) for files in marts.values() for file in files)


def _known_files(before: Path | None) -> dict[str, MartFile]:
    """Give the files of a snapshot by fingerprint; none where its manifest cannot say."""
    if before is None:
        return {}
    try:
        marts = json.loads((before / MANIFEST).read_text(encoding="utf-8"))["marts"]
        files = [MartFile(**file) for mart in marts.values() for file in mart.get("files", ())]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # missing or damaged: what nobody can look up is written again
        return {}
    return {file.fingerprint: file for file in files if file.fingerprint}


def _write_mart(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    mart: str,
    before: Path | None,
    known: Mapping[str, MartFile],
) -> list[MartFile]:
    described = connection.execute(f"describe marts.{mart}").fetchall()
    columns = {str(row[0]): str(row[1]) for row in described}
    if _DATE not in columns or mart.startswith("dim_"):
        path = folder / f"{mart}.parquet"
        _copy(connection, mart, columns, "true", path)
        return [_written(folder, path, None, _count(connection, mart), None)]
    files = []
    for month, rows, rows_hash in _months(connection, mart, columns):
        fingerprint = _fingerprint(mart, columns, month, rows_hash)
        file = known.get(fingerprint)
        if file is None or before is None or not _link(before, folder, file):
            file = _write_month(connection, folder, mart, columns, month, rows, fingerprint)
        files.append(file)
    return files


def _months(
    connection: duckdb.DuckDBPyConnection, mart: str, columns: Mapping[str, str]
) -> list[tuple[str, int, str]]:
    """Give each month with its rows and what they hash to, whatever their order.

    Raises:
        ContractError: E_MART_DATE, rows have no business_date.
    """
    listed = ", ".join(_quoted(name) for name in columns)
    months = connection.execute(
        f"select strftime({_DATE}, '%Y-%m') as month, count(*), "
        f"concat_ws(' ', count(*), sum(hash({listed})::hugeint), bit_xor(hash({listed}))) "
        f"from marts.{mart} group by month order by month"
    ).fetchall()
    undated = sum(rows for month, rows, _ in months if month is None)
    if undated:
        raise ContractError(
            f"Publishing marts.{mart} failed: {undated} of its rows have no {_DATE}, so no month "
            "has them. Nothing was published; readers keep the last snapshot. Correct the model, "
            "and run ksi run --full-refresh.",
            code="E_MART_DATE",
        )
    return months or [(_NO_MONTH, 0, "")]


def _fingerprint(mart: str, columns: Mapping[str, str], month: str, rows_hash: str) -> str:
    # DuckDB's hash of a value may be another in its next version
    parts = (_LAYOUT, duckdb.__version__, mart, list(columns.items()), month, rows_hash)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _write_month(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    mart: str,
    columns: Mapping[str, str],
    month: str,
    rows: int,
    fingerprint: str,
) -> MartFile:
    part = folder / mart / f"business_month={month}"
    part.mkdir(parents=True)
    path = part / "part.parquet"
    where = "false"
    if month != _NO_MONTH:
        where = f"{_DATE} >= date '{month}-01' and {_DATE} < date '{month}-01' + interval 1 month"
    _copy(connection, mart, columns, where, path)
    named = path.with_name(f"part-{sha256(path)[:16]}.parquet")
    path.rename(named)
    return _written(folder, named, month, rows, fingerprint)


def _copy(
    connection: duckdb.DuckDBPyConnection,
    mart: str,
    columns: Mapping[str, str],
    where: str,
    path: Path,
) -> None:
    in_order = [name for name in _FIRST if name in columns]
    in_order += [name for name in columns if name not in in_order]
    target = str(path).replace("'", "''")
    connection.execute(
        f"copy (select * from marts.{mart} where {where} "
        f"order by {', '.join(_quoted(name) for name in in_order)}) to '{target}' "
        "(format parquet, compression zstd, compression_level 3)"
    )
    sync(path)


def _link(before: Path, folder: Path, file: MartFile) -> bool:
    """Let a file of the snapshot before be one of this; False where it is no longer what it was."""
    source, target = before / file.path, folder / file.path
    if not _is_as_listed(before, file):
        return False
    target.parent.mkdir(parents=True)
    try:
        os.link(source, target)
    except OSError:
        # no hard links on this file system
        shutil.copyfile(source, target)
        sync(target)
    return True


def _is_as_listed(folder: Path, file: MartFile) -> bool:
    """Whether a file still has the bytes that it was written with; one of the same size may not."""
    path = folder / file.path
    return path.is_file() and path.stat().st_size == file.bytes and sha256(path) == file.sha256


def _sync_folders_below(folder: Path) -> None:
    """Wait until the names in all folders of months are on the disk; its own are not among them.

    One after the other while they are made, each would be a write of its own: of thirty years of
    fifteen facts, half a minute.
    """
    folders = [path for path in folder.rglob("*") if path.is_dir()]
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        list(pool.map(sync, folders))


def _written(
    folder: Path, path: Path, month: str | None, rows: int, fingerprint: str | None
) -> MartFile:
    return MartFile(
        path=path.relative_to(folder).as_posix(),
        business_month=month,
        rows=rows,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        fingerprint=fingerprint,
    )


def _count(connection: duckdb.DuckDBPyConnection, mart: str) -> int:
    found = connection.execute(f"select count(*) from marts.{mart}").fetchone()
    return int(found[0]) if found else 0


def _quoted(name: str) -> str:
    return f'"{name}"'
