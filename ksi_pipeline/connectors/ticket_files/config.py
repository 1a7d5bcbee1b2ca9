"""Connectors of kind `ticket_files` in connectors.yaml."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import plain
from ksi_pipeline.core.tickets import AbsentMeans

KIND = "ticket_files"


class TicketFilesConfig(BaseModel):
    """One source of ticket files.

    Attributes:
        id: names the connector in links, tables and folders.
        mapping: name of the file in mappings/, without .yaml.
        pattern: which names in the inbox are its files.
        absent_means: what an hour without a ticket means; has no default, on purpose.
        active: whether a run looks into its inbox.
        stable_s: a file is whole that has not changed for so long.
        done_marker: take a file only once `<name>.done` lies beside it.
        owner: who is told when it fails.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    kind: Literal["ticket_files"]
    mapping: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    pattern: str = "*"
    absent_means: AbsentMeans | None = None
    active: bool = False
    stable_s: float = Field(default=60.0, ge=0, le=86_400)
    done_marker: bool = False
    owner: str | None = None

    def require_absent_means(self) -> AbsentMeans:
        """Give what absence means.

        Raises:
            ConfigError: E_ABSENT_MEANS_UNSET.
        """
        if self.absent_means is None:
            raise ConfigError(
                f"Connector {self.id!r} cannot run: absent_means is not set, and it decides "
                "whether an hour without a ticket in a file is 0 or unknown, which is never "
                "guessed. Set it to 'zero' if the files hold every ticket of the time they cover; "
                "to 'missing' if tickets may be left out or late.",
                code="E_ABSENT_MEANS_UNSET",
            )
        return self.absent_means


def without_ticket_files(raw: Any) -> Any:
    """Give the content of connectors.yaml without the connectors of this kind."""
    if not isinstance(raw, dict) or not isinstance(raw.get("connectors"), list):
        return raw
    return {**raw, "connectors": [c for c in raw["connectors"] if not _is_ours(c)]}


def file_connectors(path: Path, raw: Any, taken: Collection[str]) -> tuple[TicketFilesConfig, ...]:
    """Read the connectors of this kind.

    Args:
        path: of connectors.yaml, for messages.
        raw: its content.
        taken: ids of the other connectors.

    Raises:
        ConfigError: E_CONNECTORS_FILE or E_DUP_CONNECTOR.
    """
    listed = raw.get("connectors") if isinstance(raw, dict) else None
    configs: list[TicketFilesConfig] = []
    for entry in filter(_is_ours, listed if isinstance(listed, list) else []):
        try:
            config = TicketFilesConfig.model_validate(entry)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, d['loc']))}: {plain(d['type'], d['msg'])}"
                for d in error.errors(include_url=False, include_input=False)
            )
            raise ConfigError(
                f"{path}: connector {entry.get('id')!r}: {wrong}. No connector was loaded.",
                code="E_CONNECTORS_FILE",
            ) from None
        if config.id in {*taken, *(other.id for other in configs)}:
            raise ConfigError(
                f"{path}: two connectors have the id {config.id!r}. No connector was loaded. "
                "Rename one; the id names its rows and its folder.",
                code="E_DUP_CONNECTOR",
            )
        configs.append(config)
    return tuple(configs)


def _is_ours(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("kind") == KIND
