"""A folder of files: each publication is a new version of it, behind the link `current`.

    <path>/current -> v7
    <path>/v7/manifest.json                                    what there is, with checksums
    <path>/v7/parquet/<mart>/business_month=<month>/part-<hash>.parquet
    <path>/v7/csv/<mart>/<mart>-<month>.csv
    <path>/v7/xlsx/<mart>/<mart>-<month>.xlsx

Files of partitions that did not change are hard links to those of the version before. The last few
versions stay, for readers that began with one.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ksi_pipeline.core.publishing import (
    NO_MONTH,
    WHOLE,
    Batch,
    Column,
    Figures,
    Part,
    require_equal,
    unreadable,
)
from ksi_pipeline.durable import point_symlink, sha256, sync
from ksi_pipeline.publishers.base import Accept
from ksi_pipeline.publishers.files.csv_file import csv_figures, write_csv
from ksi_pipeline.publishers.files.xlsx_file import (
    UNREADABLE,
    figures_as_xlsx,
    write_xlsx,
    xlsx_figures,
)
from ksi_pipeline.publishers.on_disk import only_publisher
from ksi_pipeline.publishers.parquet import parquet_figures, quoted, relation_figures
from ksi_pipeline.publishers.plan import Change

MANIFEST = "manifest.json"
_LINK = "current"
_Marts = dict[str, Any]


class FilesTarget:
    """Publishes to one folder."""

    def __init__(self, target_id: str, folder: Path, formats: Sequence[str], keep: int = 3) -> None:
        """Take the folder, which need not be there, the formats, and how many versions stay."""
        self.target_id = target_id
        self._folder, self._formats, self._keep = folder, tuple(formats), keep
        self._new = folder / ".new"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        with only_publisher(self._folder / ".lock", self.target_id):
            shutil.rmtree(self._new, ignore_errors=True)
            yield

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns that the manifest names; see Target."""
        told = self._marts(self._folder / _LINK).get(mart)
        return tuple(Column(c["name"], c["type"]) for c in told["columns"]) if told else None

    def figures(self, mart: str, sample: Batch) -> dict[Part, Figures]:  # noqa: ARG002
        """Give the figures of the partitions whose files are still what was written."""
        return self._figures(self._folder / _LINK, mart)

    def loads(self, changes: Sequence[Change]) -> list[list[Change]]:
        """Make one version for all that changed."""
        return [list(changes)] if changes else []

    def stage(self, load: Sequence[Change]) -> dict[Part, Figures]:
        """Write the next version where no reader looks, and read back what was written."""
        shutil.rmtree(self._new, ignore_errors=True)
        self._new.mkdir(parents=True)
        before = self._folder / _LINK
        marts = self._marts(before)
        with duckdb.connect() as connection:
            found = {change.part: self._change(connection, marts, change) for change in load}
        for told in marts.values():
            for part in told["partitions"].values():
                for file in part["files"]:
                    self._take_over(before, file["path"])
        marts = {mart: told for mart, told in sorted(marts.items()) if told["partitions"]}
        for told in marts.values():
            told["rows"] = sum(part["rows"] for part in told["partitions"].values())
        manifest = self._new / MANIFEST
        manifest.write_text(json.dumps({"version": self._next(), "marts": marts}, indent=2) + "\n")
        sync(manifest)
        return {part: figures for part, figures in found.items() if figures is not None}

    def apply(self, load: Sequence[Change], accept: Accept) -> None:
        """Let `current` point to the new version."""
        shown: dict[Part, Figures] = {}
        for mart in {change.part.mart for change in load}:
            shown |= self._figures(self._new, mart)
        parts = {change.part for change in load}
        accept({part: figures for part, figures in shown.items() if part in parts})
        version = self._next()
        os.rename(self._new, self._folder / f"v{version}")
        point_symlink(self._folder / _LINK, f"v{version}")
        for old in self._versions()[: -self._keep]:
            shutil.rmtree(self._folder / f"v{old}", ignore_errors=True)

    def statements(self, change: Change) -> list[str]:
        """Name the files of a change; see Target."""
        verb = "remove" if change.batch is None else "write"
        return [f"{verb} {self._path_of(change, kind)}" for kind in self._formats]

    def grants(self) -> list[str]:
        """Write which rights on files are needed."""
        return [
            f"# publishing needs to write to {self._folder}",
            f"# reading needs to read {self._folder} and what is below it",
            f"chmod -R a+rX {self._folder}",
        ]

    def _change(
        self, connection: duckdb.DuckDBPyConnection, marts: _Marts, change: Change
    ) -> Figures | None:
        batch, part = change.batch, change.part
        if batch is None:
            if part.mart in marts:
                marts[part.mart]["partitions"].pop(part.month, None)
            return None
        figures = parquet_figures(connection, batch)
        files = [self._write(connection, change, batch, kind, figures) for kind in self._formats]
        told = marts.setdefault(part.mart, {"rows": 0, "columns": [], "partitions": {}})
        told["columns"] = [{"name": c.name, "type": c.type} for c in batch.columns]
        told["partitions"][part.month] = {
            "rows": figures.rows,
            "batch_id": batch.batch_id,
            "files": files,
            "figures": json.loads(figures.to_json()),
        }
        return figures

    def _write(
        self,
        connection: duckdb.DuckDBPyConnection,
        change: Change,
        batch: Batch,
        kind: str,
        figures: Figures,
    ) -> dict[str, object]:
        """Write one file, and refuse it where it reads otherwise than the batch."""
        name = self._path_of(change, kind)
        path = self._new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        expected = figures
        if kind == "parquet":
            shutil.copyfile(batch.path, path)
            relation = f"read_parquet({quoted(path)}, hive_partitioning = false)"
            found = relation_figures(connection, relation, batch)
        elif kind == "csv":
            write_csv(batch, path)
            found = csv_figures(connection, path, batch)
        else:
            write_xlsx(connection, batch, path)
            expected = figures_as_xlsx(connection, batch)
            try:
                found = xlsx_figures(connection, path, batch)
            except UNREADABLE as error:
                why = str(error).splitlines()[0]
                raise unreadable(self.target_id, batch.part, name, why) from error
        require_equal(self.target_id, {batch.part: expected}, {batch.part: found}, name)
        sync(path)
        return {"path": name, "bytes": path.stat().st_size, "sha256": sha256(path)}

    def _path_of(self, change: Change, kind: str) -> str:
        part = change.part
        is_whole = part.month == WHOLE
        if kind == "parquet":
            content = change.batch.content[:16] if change.batch else "*"
            month = "" if is_whole else f"business_month={part.month}/"
            return f"parquet/{part.mart}/{month}part-{content}.parquet"
        month = "" if part.month in (WHOLE, NO_MONTH) else f"-{part.month}"
        return f"{kind}/{part.mart}/{part.mart}{month}.{kind}"

    def _take_over(self, before: Path, name: str) -> None:
        """Let a file of the version before be one of the new, where it was not written anew."""
        source, target = before / name, self._new / name
        if target.exists() or not source.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            # no hard links on this file system
            shutil.copyfile(source, target)

    def _marts(self, version: Path) -> _Marts:
        path = version / MANIFEST
        return dict(json.loads(path.read_text())["marts"]) if path.exists() else {}

    def _figures(self, version: Path, mart: str) -> dict[Part, Figures]:
        found = {}
        for month, told in self._marts(version).get(mart, {"partitions": {}})["partitions"].items():
            kinds = {file["path"].partition("/")[0] for file in told["files"]}
            is_whole = kinds == set(self._formats) and all(
                (version / file["path"]).is_file()
                and sha256(version / file["path"]) == file["sha256"]
                for file in told["files"]
            )
            if is_whole:
                found[Part(mart, month)] = Figures.from_json(json.dumps(told["figures"]))
        return found

    def _versions(self) -> list[int]:
        named = [path.name[1:] for path in self._folder.glob("v*") if path.is_dir()]
        return sorted(int(name) for name in named if name.isdecimal())

    def _next(self) -> int:
        return max(self._versions(), default=0) + 1
