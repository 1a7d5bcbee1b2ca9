"""Targets of kind `files` in targets.yaml."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from ksi_pipeline.publishers.base_config import TargetBase

Format = Literal["parquet", "csv", "xlsx"]


class FilesConfig(TargetBase):
    """A folder of files.

    Attributes:
        path: of the folder; a relative one lies below the data home.
        formats: in which each mart is written.
        keep: versions of the folder that stay, the current one included.
    """

    paths: ClassVar = ("path",)

    kind: Literal["files"]
    path: Path = Field(strict=False)
    formats: list[Format] = Field(default=["parquet", "csv"], min_length=1)
    keep: int = Field(default=3, ge=2, le=100)
