"""What every target in targets.yaml says, of whatever kind it is."""

from collections.abc import Callable
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.schedule import Cron, read_rule
from ksi_pipeline.publishers.refusals import no_secret

# name of an environment variable
ENV = r"^[A-Za-z_][A-Za-z0-9_]*$"


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


class ServerBase(TargetBase):
    """What every target says that is a server.

    Attributes:
        connect_timeout_s: after which no connection is made.
        step_timeout_s: after which a statement or a request is given up.
        lock_wait_s: how long another publisher is waited for.
    """

    connect_timeout_s: int = Field(default=10, ge=1, le=600)
    step_timeout_s: int = Field(default=600, ge=1, le=86_400)
    lock_wait_s: float = Field(default=60, ge=0, le=3600)

    def secret(self, secrets: Callable[[str], str | None], env: str, example: str) -> str:
        """Resolve a secret.

        Args:
            secrets: gives the value of an environment variable.
            env: its name.
            example: what it should hold, for the message.

        Raises:
            ConfigError: E_TARGET_SECRET, naming the variable.
        """
        if value := (secrets(env) or "").strip():
            return value
        raise no_secret(self.id, env, example)
