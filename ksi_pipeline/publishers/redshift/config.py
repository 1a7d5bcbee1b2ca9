"""Targets of kind `redshift` in targets.yaml."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, model_validator

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.publishers.base_config import ENV, ServerBase

_NAME = r"^[a-z_][a-z0-9_]{0,40}$"
_EXAMPLE = "redshift://user:password@host:5439/database"
SslMode = Literal["verify-full", "verify-ca", "disable"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is and who logs in.

    Attributes:
        password: null where temporary credentials are asked for.
        sslmode: verify-full unless the URL says otherwise.
    """

    host: str
    port: int
    database: str
    user: str
    password: str | None = field(default=None, repr=False)
    sslmode: SslMode = "verify-full"


class RedshiftConfig(ServerBase):
    """Tables in one schema of a Redshift database, with a bucket that they are loaded from.

    Attributes:
        url_env: name of the environment variable that holds the URL, redshift://user@host/db.
        s3: folder of a bucket, s3://bucket/folder; what lies below `ksi-stage/ID` in it is ours.
        iam_role: ARN of the role that the database reads the bucket with.
        region: of AWS; null: what the machine is configured with.
        cluster: whose temporary credentials are asked for, in place of a password.
        workgroup: likewise, of Redshift Serverless.
        schema_name: of the tables; `schema` in the file.
        publisher: user that publishes; only named in grants.
        reader: user that reads; only named in grants.
        text_bytes: length of text columns in bytes of UTF-8.
        connect_timeout_s: after which no connection is made, to the database or to AWS.
        s3_timeout_s: how long S3 may be silent.
    """

    kind: Literal["redshift"]
    url_env: str = Field(pattern=ENV)
    s3: str = Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.()=-]+)*/?$")
    iam_role: str = Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$")
    region: str | None = Field(default=None, pattern=r"^[a-z0-9-]+$")
    cluster: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*$")
    workgroup: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]*$")
    schema_name: str = Field(default="ksi", alias="schema", pattern=_NAME)
    publisher: str = Field(default="ksi_publisher", pattern=_NAME)
    reader: str = Field(default="ksi_reader", pattern=_NAME)
    text_bytes: int = Field(default=1024, ge=256, le=65_535)
    s3_timeout_s: int = Field(default=60, ge=1, le=3600)

    @model_validator(mode="after")
    def _is_one_login(self) -> "RedshiftConfig":
        if self.cluster and self.workgroup:
            raise ValueError("it should be either cluster or workgroup")
        return self

    @property
    def bucket(self) -> str:
        """Of the files to be loaded."""
        return self.s3.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """What the keys of all our objects begin with; nothing else is read or removed."""
        folder = self.s3.removeprefix("s3://").partition("/")[2].strip("/")
        return f"{folder}/ksi-stage/{self.id}/".lstrip("/")

    def address(self, secrets: Callable[[str], str | None]) -> Address:
        """Resolve the URL.

        Raises:
            ConfigError: E_TARGET_SECRET, naming the variable.
        """
        address = _read(self.secret(secrets, self.url_env, f"a URL like {_EXAMPLE}"))
        is_temporary = self.cluster or self.workgroup
        if address is None or not (address.password or is_temporary):
            raise ConfigError(
                f"Target {self.id!r}: what {self.url_env} holds is no URL of a database with a "
                f"user and a password. Nothing was published. Write it like {_EXAMPLE}; the "
                "password may be left out where cluster or workgroup is set.",
                code="E_TARGET_SECRET",
            )
        return address


def _read(url: str) -> Address | None:
    """Take a URL apart; null where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or 5439
    except ValueError:
        return None
    database = unquote(parts.path.strip("/"))
    mode = dict(parse_qsl(parts.query)).get("sslmode", "verify-full")
    is_known = parts.scheme in ("redshift", "postgresql") and mode in SslMode.__args__  # type: ignore[attr-defined]
    if not (is_known and parts.hostname and parts.username and database):
        return None
    password = unquote(parts.password) if parts.password else None
    return Address(
        parts.hostname, port, database, unquote(parts.username), password, cast(SslMode, mode)
    )
