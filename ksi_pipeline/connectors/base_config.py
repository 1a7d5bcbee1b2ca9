"""What every connector in connectors.yaml says, of whatever kind it is."""

from datetime import date, timedelta
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.schedule import read_rule
from ksi_pipeline.core.tickets import AbsentMeans


class ConnectorBase(BaseModel):
    """One ticket source.

    Attributes:
        id: names the connector in links, tables and folders.
        kind: of source; each has a class and settings of its own.
        absent_means: what an hour of which the source says nothing means; has no default, on
            purpose.
        active: true, the schedule asks it untested; false, never; null, as `ksi connector` says.
        owner: who is told when it fails.
        every: how often it is asked, 15m, 1h, 1d, 1w, 1mo or a cron expression; null, at each run
            of the schedule. Not for files.
        final_after_h: hours after their end until its hours no longer change; null, as was
            learned, and KSI_FINAL_AFTER_H at least.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    # How one of this kind chooses absent_means: the end of a sentence.
    absent_choices: ClassVar[str]
    absent_question: ClassVar[str]
    # What has to be said of one of this kind besides: setting -> what a person is asked.
    questions: ClassVar[dict[str, str]]
    # What a template shows filled in, though it could be left out or is no text.
    examples: ClassVar[dict[str, object]] = {}

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    kind: str
    absent_means: AbsentMeans | None = None
    active: bool | None = None
    owner: str | None = None
    every: str | None = None
    final_after_h: float | None = Field(default=None, ge=0, le=31 * 24)

    @field_validator("every")
    @classmethod
    def _is_a_rule(cls, every: str | None) -> str | None:
        try:
            if every is not None:
                read_rule(every)
        except ConfigError as error:
            raise PydanticCustomError(
                "E_EVERY", "{problem}", {"problem": str(error).rstrip(".")}
            ) from error
        return every

    @property
    def first_day(self) -> date | None:
        """First local day of the past that it is asked for; None where nobody said."""
        return None

    @property
    def longest_window(self) -> timedelta:
        """The longest span that one request asks for."""
        return timedelta(days=7)

    @property
    def secret_names(self) -> tuple[str, ...]:
        """Names of the environment variables whose values it needs and nobody may see."""
        return ()

    @property
    def mapping_name(self) -> str | None:
        """Name of its file in mappings/, without .yaml; None where its rows need no mapping."""
        return None

    def require_absent_means(self) -> AbsentMeans:
        """Give what absence means.

        Raises:
            ConfigError: E_ABSENT_MEANS_UNSET.
        """
        if self.absent_means is None:
            raise ConfigError(
                f"Connector {self.id!r} cannot run: absent_means is not set, and it decides "
                f"whether {self.absent_question} is 0 or unknown, which is never guessed. Set "
                f"absent_means: to {self.absent_choices}.",
                code="E_ABSENT_MEANS_UNSET",
            )
        return self.absent_means

    def require_active(self) -> AbsentMeans:
        """Give what absence means, once the file says that the connector may run.

        Raises:
            ConfigError: E_ABSENT_MEANS_UNSET or E_CONNECTOR_INACTIVE.
        """
        absent_means = self.require_absent_means()
        if not self.active:
            raise ConfigError(
                f"Connector {self.id!r} is not active; nothing was asked. Run: ksi connector test "
                f"{self.id}, then ksi connector activate {self.id}.",
                code="E_CONNECTOR_INACTIVE",
            )
        return absent_means
