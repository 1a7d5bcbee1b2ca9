"""Targets of kind `duckdb` in targets.yaml."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from ksi_pipeline.publishers.base_config import TargetBase


class DuckdbConfig(TargetBase):
    """One DuckDB file.

    Attributes:
        path: of the file; a relative one lies below the data home.
    """

    paths: ClassVar = ("path",)

    kind: Literal["duckdb"]
    path: Path = Field(strict=False)
