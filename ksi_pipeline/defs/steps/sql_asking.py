"""What a connector of kind sql asks its database, made of its settings and its mapping."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from ksi_pipeline.connectors.sql.config import SITE_ZONE, SqlConfig
from ksi_pipeline.connectors.sql.source import SqlSource
from ksi_pipeline.connectors.sql.statement import Question
from ksi_pipeline.connectors.sql.windows import Span
from ksi_pipeline.connectors.ticket_files.mapping import Mapping, load_mapping
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.instants import from_us
from ksi_pipeline.defs.workspace import Workspace, digest


@dataclass(frozen=True, slots=True)
class Asking:
    """All that one pull of a connector needs.

    Attributes:
        zones: of the watermark, where its times have no offset.
    """

    config: SqlConfig
    question: Question
    zones: tuple[ZoneInfo, ...]

    @property
    def question_hash(self) -> str:
        """Hash of what is asked but for the window."""
        config = self.config
        return digest(
            self.question,
            config.watermark_kind,
            config.watermark_zone,
            config.since,
            config.tables,
        )

    def shown(self, span: Span) -> str:
        """Write a window as messages name it."""
        if self.config.is_by_number:
            return f"{span.start}..{span.end}"
        start, end = from_us(span.start), from_us(span.end)
        return f"{start:%Y-%m-%dT%H%MZ}..{end:%Y-%m-%dT%H%MZ}"


def asking_of(workspace: Workspace, config: SqlConfig) -> Asking:
    """Put together what a connector asks.

    Raises:
        ConfigError: E_MAPPING, E_SQL_URL, E_SQL_DRIVER, E_SQL_QUERY.
    """
    mapping = _mapping_of(workspace, config)
    columns = (*mapping.headers(), *config.columns, config.watermark)
    given = mapping.columns
    key = (*given.ext_ref_code.column, *given.ticket_id.column)
    question = Question(
        table=config.table,
        query=config.query,
        columns=tuple(dict.fromkeys(columns)),
        watermark=config.watermark,
        ticket=key if mapping.grain == "line" else (),
    )
    return Asking(config, question, _zones(workspace, config))


def source_of(workspace: Workspace, asking: Asking) -> SqlSource:
    """Give the database of a connector; nothing is asked yet."""
    config = asking.config
    return SqlSource(config, config.url(workspace.secrets), asking.question, asking.zones)


def _mapping_of(workspace: Workspace, config: SqlConfig) -> Mapping:
    path = workspace.home.mapping(config.mapping)
    mapping = load_mapping(path)
    if mapping.format not in (None, "parquet"):
        raise ConfigError(
            f"The mapping {path} has format: {mapping.format}, and connector {config.id!r} reads a "
            "database, whose rows are kept as Parquet. Nothing was asked. Leave format: out.",
            code="E_MAPPING",
        )
    if mapping.complete:
        raise ConfigError(
            f"The mapping {path} says complete: true, and connector {config.id!r} reads a "
            "database, of which a window may hold a part of a day only: the tickets of the rest "
            "would be taken back. Nothing was asked. Leave complete: out, and have a ticket that "
            "was taken back marked as void.",
            code="E_MAPPING",
        )
    return mapping


def _zones(workspace: Workspace, config: SqlConfig) -> tuple[ZoneInfo, ...]:
    zone = config.watermark_zone
    if zone is None:
        return ()
    if zone != SITE_ZONE:
        return (ZoneInfo(zone),)
    linked = {
        space.file.site.timezone
        for space in workspace.spaces()
        for link in space.file.links
        if link.connector == config.id
    }
    return tuple(ZoneInfo(name) for name in sorted(linked))
