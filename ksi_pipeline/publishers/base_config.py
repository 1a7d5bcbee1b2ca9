"""What every target in targets.yaml says, of whatever kind it is."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.schedule import Cron, read_rule


class TargetBase(BaseModel):
    """One place that marts are published to.

    Attributes:
        id: names the target in receipts, commands and assets.
        kind: of target; each has a class and settings of its own.
        marts: that go there; null for all, unless exposures are named.
        exposures: of the dbt project, whose marts go there too.
        schedule: cron expression, UTC, of the runs that publish there; null: only by hand.
        attempts: in all, where something fails that passes.
        owner: who is told when it fails.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    # settings that are paths, relative ones below the data home
    paths: ClassVar[tuple[str, ...]] = ()

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]{0,40}$")
    kind: str
    marts: list[str] | None = None
    exposures: list[str] | None = None
    schedule: str | None = None
    attempts: int = Field(default=3, ge=1, le=20)
    owner: str | None = None

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, schedule: str | None) -> str | None:
        if schedule is None:
            return None
        try:
            is_cron = isinstance(read_rule(schedule), Cron)
        except ConfigError:
            is_cron = False
        if not is_cron:
            raise ValueError("it should be a cron expression like '20 * * * *'")
        return schedule

    def wants(self, mart: str) -> bool:
        """Whether a mart goes there."""
        return self.marts is None or mart in self.marts
