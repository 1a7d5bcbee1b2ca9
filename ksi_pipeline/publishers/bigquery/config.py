"""Targets of kind `bigquery` in targets.yaml."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field, model_validator

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.publishers.base_config import ENV, ServerBase

# tokens go over TLS; without it only to what runs on this machine
_ENDPOINT = r"^(https://[^\s/@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)/?$"
_MEMBER = r"^(user|group|serviceAccount|domain):[^\s\"'`]+$"


class BigqueryConfig(ServerBase):
    """Tables in one dataset of BigQuery.

    Attributes:
        project: that has the dataset and pays for the jobs.
        dataset: of the tables.
        location: of the dataset, like EU or europe-west1; jobs run there.
        credentials_env: name of the environment variable with a service account's key, as JSON or
            as the path of its file; null: application default credentials.
        publisher: member that publishes, like serviceAccount:...; only named in grants.
        reader: member that reads; only named in grants.
        maximum_bytes_billed: of one statement; one that would read more fails, and costs nothing.
        lease_s: after which a publisher that died on another machine no longer keeps others out.
        api_endpoint: URL, where it is not Google's own.
    """

    kind: Literal["bigquery"]
    project: str = Field(pattern=r"^[a-z][a-z0-9.:-]{4,60}[a-z0-9]$")
    dataset: str = Field(default="ksi", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,200}$")
    location: str = Field(pattern=r"^[A-Za-z0-9-]{2,40}$")
    credentials_env: str | None = Field(default=None, pattern=ENV)
    publisher: str | None = Field(default=None, pattern=_MEMBER)
    reader: str | None = Field(default=None, pattern=_MEMBER)
    maximum_bytes_billed: int | None = Field(default=None, ge=10_485_760)
    # BigQuery ends a query after six hours
    step_timeout_s: int = Field(default=600, ge=1, le=21_600)
    lease_s: int = Field(default=1800, ge=1, le=86_400)
    api_endpoint: str | None = Field(default=None, pattern=_ENDPOINT)

    @model_validator(mode="after")
    def _lease_outlasts_a_step(self) -> "BigqueryConfig":
        if self.lease_s < self.step_timeout_s:
            raise ValueError("lease_s should be as long as step_timeout_s, or longer")
        return self

    @property
    def is_stand_in(self) -> bool:
        """Whether it is a server on this machine that nobody logs in to."""
        return self.credentials_env is None and (self.api_endpoint or "").startswith("http://")

    def key(self, secrets: Callable[[str], str | None]) -> str | None:
        """Resolve the key of the service account, or its path; null where none is named.

        Raises:
            ConfigError: E_TARGET_SECRET, naming the variable.
        """
        if self.credentials_env is None:
            return None
        example = "the key of a service account, or its path"
        return self.secret(secrets, self.credentials_env, example)

    def no_key(self) -> ConfigError:
        """Say that what the variable holds is no key."""
        return ConfigError(
            f"Target {self.id!r}: what {self.credentials_env} holds is neither the key of a "
            "service account as JSON nor the path of a file with one. Nothing was published. "
            "Set it to one of both.",
            code="E_TARGET_SECRET",
        )
