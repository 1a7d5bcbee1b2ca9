"""Reads metrics.yaml: how the marts count, where it is another way than shipped.

Each key is a variable of the dbt project. docs/reference/settings.md says what they mean.
"""

from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import plain
from ksi_pipeline.space.yaml_lines import Path, line_of, read_yaml

# Both become a part of SQL text, so nothing but what ids may hold.
_Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]+/[A-Za-z0-9_.\-]+$")]
_Number = Annotated[float, Field(allow_inf_nan=False)]

Rules = dict[str, Any]


class MetricRules(BaseModel):
    """What metrics.yaml may say, with the values that hold where it does not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    completeness_complete: _Number = Field(default=0.98, gt=0, le=1)
    engaged_dwell_s: _Number = Field(default=60, ge=0)
    bounce_dwell_s: _Number = Field(default=120, ge=0)
    outside_without_entrants: list[_Key] = []
    whole_floor_zones: list[_Key] = []
    little_deviation: _Number = Field(default=0.2, ge=0)
    ticket_lag_s: int = Field(default=900, ge=0)
    ticket_lag_shape: Literal["uniform", "fixed"] = "uniform"
    benchmark_completeness: _Number = Field(default=0.9, gt=0, le=1)
    benchmark_rank_margin: int = Field(default=1, ge=1)


SHIPPED: Rules = MetricRules().model_dump()


def load_metric_rules(path: FilePath) -> Rules:
    """Read what metrics.yaml sets; a missing or empty file sets nothing.

    Returns:
        The values as they are written, by name; only those that the file names.

    Raises:
        ConfigError: E_METRICS_FILE, one line for each thing that is wrong, with file and line.
    """
    if not path.exists():
        return {}
    try:
        data, lines = read_yaml(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as UTF-8 text ({type(error).__name__}). Nothing was built.",
            code="E_METRICS_FILE",
        ) from error
    except ConfigError as error:
        raise ConfigError(str(error), code="E_METRICS_FILE") from error
    given: Rules = {} if data is None else data
    try:
        MetricRules.model_validate(given)
    except ValidationError as error:
        said = [_finding(path.name, dict(detail), lines) for detail in error.errors()]
        raise ConfigError(
            "\n".join([*said, "Nothing was built. docs/reference/settings.md lists the names."]),
            code="E_METRICS_FILE",
        ) from error
    return given


def _finding(file: str, detail: dict[str, Any], lines: dict[Path, int]) -> str:
    path: Path = detail["loc"]
    said = plain(detail["type"], detail["msg"])
    if detail["type"] == "extra_forbidden":
        said = f"{path[-1]!r} is not a name here; remove it or correct its spelling"
    elif detail["type"] == "string_pattern_mismatch":
        said = f"{detail['input']!r} in {path[0]!r} is no unit or zone; write it as site/id"
    elif path:
        said = f"{path[0]!r} is {detail['input']!r}: {said}"
    return f"{file} line {line_of(path, lines)}: {said}."
