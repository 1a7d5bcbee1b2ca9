"""Connectors of kind `hourly_api` in connectors.yaml."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.secret import Token
from ksi_pipeline.http import HttpLimits

Secrets = Callable[[str], str | None]


class HourlyApiConfig(ConnectorBase):
    """One endpoint of the hourly API.

    Attributes:
        url: without fromTime, toTime and ext_ref_codes.
        token_env: name of the environment variable that holds the Bearer token.
        allow_http: permits http://, on which the token travels readable.
        allow_private: permits an address of this machine or of the network it stands in.
        connect_timeout_s: until a connection stands.
        read_timeout_s: of silence; one attempt takes at most four times as long.
        max_attempts: requests in all, the first included.
        longest_window_days: of one request; smaller for a slow feed.
        parallel_requests: asked at once, where a span takes several requests.
        since: first local day of the past that it is asked for; null, what is missing of the last
            35 days.
        currency: ISO 4217, of amounts in rows that name none.
        tax_included: whether such amounts include tax, in rows that do not say so.
    """

    absent_question: ClassVar = "an hour that the feed leaves out"
    absent_choices: ClassVar = (
        "'zero' if the feed leaves out hours without a ticket, so that absence is a measured 0 "
        "(and a ticket hour that vanishes from a later answer is taken back); 'missing' if an hour "
        "may be absent because the till was off or late, so that absence is unknown and never "
        "counts as 0"
    )

    questions: ClassVar = {
        "url": "Address of the API, without fromTime, toTime and ext_ref_codes",
        "token_env": "NAME of the environment variable with the token",
    }

    kind: Literal["hourly_api"]
    url: str
    # upper case only: a pasted token is rarely all upper case
    token_env: str = Field(pattern=r"^[A-Z_][A-Z0-9_]*$")
    allow_http: bool = False
    allow_private: bool = False
    connect_timeout_s: float = Field(default=5.0, gt=0, le=300)
    read_timeout_s: float = Field(default=30.0, gt=0, le=3600)
    max_attempts: int = Field(default=4, ge=1, le=20)
    longest_window_days: int = Field(default=7, ge=1, le=366)
    parallel_requests: int = Field(default=4, ge=1, le=32)
    since: date | None = None
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    tax_included: bool | None = None

    @property
    def secret_names(self) -> tuple[str, ...]:
        """The variable that holds the token."""
        return (self.token_env,)

    @field_validator("since", mode="before")
    @classmethod
    def _is_a_day(cls, since: object) -> object:
        if isinstance(since, str):
            try:
                return date.fromisoformat(since)
            except ValueError:
                return since
        return str(since) if isinstance(since, datetime) else since

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        problem = _url_problem(url)
        if problem:
            raise PydanticCustomError("E_URL", "{problem}", {"problem": problem})
        return url

    @model_validator(mode="after")
    def _is_http_allowed(self) -> "HourlyApiConfig":
        if self.url.lower().startswith("http://") and not self.allow_http:
            raise PydanticCustomError(
                "E_HTTP_NOT_ALLOWED",
                "url begins with http://, on which anyone on the way can read the token. Use "
                "https://, or set allow_http: true for a test on your own machine",
            )
        return self

    @property
    def first_day(self) -> date | None:
        """First local day of the past that it is asked for; None where nobody said."""
        return self.since

    @property
    def longest_window(self) -> timedelta:
        """The longest span that one request asks for."""
        return timedelta(days=self.longest_window_days)

    def token(self, secrets: Secrets) -> Token:
        """Resolve the token.

        Raises:
            ConfigError: E_TOKEN_MISSING or E_TOKEN_INVALID, naming the variable.
        """
        value = (secrets(self.token_env) or "").strip()
        if not value:
            raise ConfigError(
                f"Connector {self.id!r}: the environment variable {self.token_env} is not set or "
                "empty, so there is no Bearer token; nothing was asked. Set it where the pipeline "
                "runs.",
                code="E_TOKEN_MISSING",
            )
        try:
            return Token(value)
        except ConfigError as error:
            message = f"Connector {self.id!r}, environment variable {self.token_env}: {error}"
            raise ConfigError(message, code=error.code) from None

    def http_limits(self) -> HttpLimits:
        """Give the limits of one request."""
        return HttpLimits(
            connect_timeout_s=self.connect_timeout_s,
            read_timeout_s=self.read_timeout_s,
            total_timeout_s=4 * self.read_timeout_s,
            max_attempts=self.max_attempts,
            allow_private=self.allow_private,
        )


def _url_problem(url: str) -> str | None:
    """Say what is wrong with an address, without repeating it: it may hold a password."""
    if not re.fullmatch(r"[!-~]+", url):
        return "url holds a blank or a character outside ASCII; quote it"
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return "url has no readable host and port"
    if parts.scheme.lower() not in ("http", "https"):
        return "url has to begin with https://"
    if not has_host:
        return "url names no host"
    if parts.username is not None or parts.password is not None:
        return "url holds a user name or password; only the token named by token_env is sent"
    if parts.fragment or url.endswith("#"):
        return "url ends in a #fragment, which is never sent"
    return None
