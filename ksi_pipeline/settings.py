"""Settings: the only reader of environment variables.

Each setting is an environment variable with the prefix KSI_; docs/reference/settings.md lists them.
Secrets are named in connectors.yaml and looked up here; their values never enter a setting object,
so that printing the settings shows none.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import plain

REPOSITORY = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """What a run can be told; everything has a default that works on one machine."""

    model_config = SettingsConfigDict(env_prefix="KSI_", extra="ignore", populate_by_name=True)

    data_dir: Path = Field(
        default=Path("data"),
        description="Data home: inboxes, lake, ledger, build database and published snapshots.",
    )
    dagster_home: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("DAGSTER_HOME", "dagster_home"),
        description="Folder of the Dagster instance; the default is `dagster` in the data home.",
    )
    ledger_url: str | None = Field(
        default=None,
        repr=False,
        description="SQLAlchemy URL of the ledger; the default is SQLite in the data home.",
    )
    detector: Literal["motion", "openvino", "onnx", "ultralytics", "auto"] = Field(
        default="motion", description="Detector for video chunks; motion needs no weights."
    )
    model: Path | None = Field(
        default=None, description="Weights of the detector: a file, or the folder that has it."
    )
    weights_dir: Path | None = Field(
        default=None,
        description="Folder in which auto looks for weights; the default is `weights` in the data "
        "home.",
    )
    sample_hz: float = Field(
        default=5.0, ge=1, le=60, description="Frames looked at for each second of video."
    )
    video_workers: int = Field(
        default=1, ge=1, le=256, description="Cameras worked on at once, each in its own process."
    )
    crop: bool = Field(
        default=False, description="Show detectors only the part that zones and lines need."
    )
    final_after_h: float = Field(
        default=72.0, ge=0, description="Hours after which tickets of an hour no longer change."
    )
    benchmark_min_operators: int = Field(
        default=5, ge=3, description="Operators beside the reader that a total of tenants needs."
    )
    benchmark_max_share: float = Field(
        default=0.75, gt=0, le=1, description="Share of a total that one operator may have."
    )
    benchmark_min_rest: float = Field(
        default=0.10,
        ge=0,
        le=1,
        description="Rest of a total without its two largest operators, as a share of the largest.",
    )
    benchmark_memory_months: int = Field(
        default=12, ge=1, description="Months whose totals a reader is taken to compare."
    )
    duckdb_memory_limit: str = Field(
        default="4GB", pattern=r"^\d+(MB|GB)$", description="DuckDB's memory limit in a build."
    )
    dbt_threads: int = Field(default=2, ge=1, description="Models that dbt builds at once.")
    data_tests: bool = Field(
        default=True, description="Let every build test the data of the marts, which it then reads."
    )
    dbt_project_dir: Path = Field(
        default=REPOSITORY / "dbt_project", description="Folder of the dbt project."
    )

    @property
    def weights(self) -> Path:
        """Where weights lie."""
        return self.weights_dir or self.data_dir / "weights"


def load_settings(data_dir: Path | None = None) -> Settings:
    """Read the settings; a data home given on the command line wins.

    Raises:
        ConfigError: E_SETTING, naming each variable that is wrong; values are not repeated.
    """
    try:
        return Settings() if data_dir is None else Settings(data_dir=data_dir)
    except ValidationError as error:
        wrong = "; ".join(
            f"{_variable(str(detail['loc'][0]))}: {plain(detail['type'], detail['msg'])}"
            for detail in error.errors()
        )
        raise ConfigError(
            f"A setting is wrong: {wrong}. Nothing was done. Correct the environment variable; "
            "docs/reference/settings.md lists them.",
            code="E_SETTING",
        ) from None


def _variable(name: str) -> str:
    return name.upper() if name.upper() == "DAGSTER_HOME" else f"KSI_{name.upper()}"


def secret(name: str) -> str | None:
    """Look up a secret by the name of its environment variable; None when it is not set."""
    return os.environ.get(name) or None
