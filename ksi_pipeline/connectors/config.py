"""The file connectors.yaml: which ticket sources there are and how each is asked.

Secrets are never in the file: it names an environment variable, and whoever holds the secrets
resolves the name. No error repeats a value of the file, because a token may have been pasted there
by mistake.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from ksi_pipeline.connectors.ticket_files.config import (
    TicketFilesConfig,
    file_connectors,
    without_ticket_files,
)
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import plain
from ksi_pipeline.core.secret import Token
from ksi_pipeline.core.tickets import AbsentMeans
from ksi_pipeline.http import HttpLimits

Secrets = Callable[[str], str | None]

_ABSENT_CHOICES = (
    "'zero' if the feed leaves out hours without a ticket, so that absence is a measured 0 (and a "
    "ticket hour that vanishes from a later answer is taken back); 'missing' if an hour may be "
    "absent because the till was off or late, so that absence is unknown and never counts as 0"
)


class ConnectorConfig(BaseModel):
    """One ticket source.

    Attributes:
        id: names the connector in links, tables and folders.
        url: without fromTime, toTime and ext_ref_codes.
        token_env: name of the environment variable that holds the Bearer token.
        absent_means: what an hour without a row means; has no default, on purpose.
        active: true, the schedule asks it untested; false, never; null, as `ksi connector` says.
        allow_http: permits http://, on which the token travels readable.
        allow_private: permits an address of this machine or of the network it stands in.
        longest_window_days: of one request.
        parallel_requests: asked at once, where a span takes several requests.
        owner: who is told when it fails.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    kind: Literal["hourly_api"]
    url: str
    # upper case only: a pasted token is rarely all upper case
    token_env: str = Field(pattern=r"^[A-Z_][A-Z0-9_]*$")
    absent_means: AbsentMeans | None = None
    active: bool | None = None
    allow_http: bool = False
    allow_private: bool = False
    connect_timeout_s: float = Field(default=5.0, gt=0, le=300)
    read_timeout_s: float = Field(default=30.0, gt=0, le=3600)
    max_attempts: int = Field(default=4, ge=1, le=20)
    longest_window_days: int = Field(default=7, ge=1, le=366)
    parallel_requests: int = Field(default=4, ge=1, le=32)
    owner: str | None = None

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        problem = _url_problem(url)
        if problem:
            raise PydanticCustomError("E_URL", "{problem}", {"problem": problem})
        return url

    @model_validator(mode="after")
    def _is_http_allowed(self) -> "ConnectorConfig":
        if self.url.lower().startswith("http://") and not self.allow_http:
            raise PydanticCustomError(
                "E_HTTP_NOT_ALLOWED",
                "url begins with http://, on which anyone on the way can read the token. Use "
                "https://, or set allow_http: true for a test on your own machine",
            )
        return self

    def require_absent_means(self) -> AbsentMeans:
        """Give what absence means.

        Raises:
            ConfigError: E_ABSENT_MEANS_UNSET.
        """
        if self.absent_means is None:
            raise ConfigError(
                f"Connector {self.id!r} cannot run: absent_means is not set, and it decides "
                "whether an hour that the feed leaves out is 0 or unknown, which is never guessed. "
                f"Set absent_means: to {_ABSENT_CHOICES}.",
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


class _ConnectorsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    # null: every connector below the key is commented out
    connectors: list[ConnectorConfig] | None = None


def load_connectors(path: Path) -> tuple[ConnectorConfig, ...]:
    """Read connectors.yaml; a missing file means that there are none.

    Raises:
        ConfigError: the file is no YAML, or a connector is wrong; the message names the file, the
            connector and every setting that is wrong.
    """
    return parse_connectors(_read_text(path), path) if path.exists() else ()


def parse_connectors(text: str, path: Path) -> tuple[ConnectorConfig, ...]:
    """Read the text of a connectors.yaml; see load_connectors. Errors name `path`."""
    raw = without_ticket_files(_read_yaml(text, path))
    try:
        connectors = tuple(_ConnectorsFile.model_validate(raw).connectors or ())
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        codes = [str(problem["type"]) for problem in problems]
        raise ConfigError(
            f"{path}: " + "; ".join(_problem(problem, raw) for problem in problems) + ". "
            "No connector was loaded.",
            code=next((code for code in codes if code.startswith("E_")), "E_CONNECTORS_FILE"),
        ) from None
    seen: set[str] = set()
    for connector in connectors:
        if connector.id in seen:
            raise ConfigError(
                f"{path}: two connectors have the id {connector.id!r}. No connector was loaded. "
                "Rename one; the id names its rows and its folder.",
                code="E_DUP_CONNECTOR",
            )
        seen.add(connector.id)
    return connectors


def connector_named(configs: Sequence[ConnectorConfig], name: str, path: Path) -> ConnectorConfig:
    """Give the connector of an id.

    Raises:
        ConfigError: E_UNKNOWN_CONNECTOR, naming those that there are.
    """
    for config in configs:
        if config.id == name:
            return config
    known = ", ".join(config.id for config in configs) or "none"
    has = f"it has: {known}" if path.exists() else "there is no such file"
    raise ConfigError(
        f"There is no connector {name!r} in {path} ({has}). Correct the name, or add the "
        "connector; docs/how-to/connect-a-till.md says how.",
        code="E_UNKNOWN_CONNECTOR",
    )


def load_file_connectors(path: Path) -> tuple[TicketFilesConfig, ...]:
    """Read the connectors of kind `ticket_files`; a missing file means that there are none.

    Raises:
        ConfigError: as load_connectors.
    """
    if not path.exists():
        return ()
    raw = _read_yaml(_read_text(path), path)
    return file_connectors(path, raw, {config.id for config in load_connectors(path)})


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read as UTF-8 text ({type(error).__name__}).",
            code="E_CONNECTORS_FILE",
        ) from error


def _read_yaml(text: str, path: Path) -> object:
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where}: this is no YAML ({getattr(error, 'problem', None) or 'unreadable'}). "
            "Indentation and brackets are the usual cause.",
            code="E_CONNECTORS_FILE",
        ) from None
    except RecursionError:
        raise ConfigError(
            f"{path}: this is no YAML of connectors: brackets lie hundreds deep in each other.",
            code="E_CONNECTORS_FILE",
        ) from None
    return {} if raw is None else raw


def _problem(problem: ErrorDetails, raw: object) -> str:
    """Write one problem without its value: 'connector 'pos-main', url: Field required'."""
    where = list(problem["loc"])
    name = "the file"
    if len(where) >= 2 and where[0] == "connectors" and isinstance(where[1], int):
        name = _name_of(raw, where[1])
        where = where[2:]
    text = plain(problem["type"], problem["msg"])
    if problem["type"].startswith("E_"):
        text = problem["msg"]
    if problem["type"] == "extra_forbidden":
        text = "unknown setting; check the spelling"
    setting = ".".join(str(part) for part in where)
    return f"{name}{', ' if setting else ''}{setting}: {text}"


def _name_of(raw: object, index: int) -> str:
    try:
        given = raw["connectors"][index]["id"]  # type: ignore[index]
    except (KeyError, TypeError):
        given = None
    return f"connector {given!r}" if isinstance(given, str) else f"connector number {index + 1}"


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
