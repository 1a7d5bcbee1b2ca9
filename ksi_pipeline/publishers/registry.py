"""From a target's configuration to the object that publishes: the one list of kinds."""

from collections.abc import Callable
from pathlib import Path

from ksi_pipeline.publishers.base import Target
from ksi_pipeline.publishers.base_config import TargetBase
from ksi_pipeline.publishers.bigquery.config import BigqueryConfig
from ksi_pipeline.publishers.duckdb_file.config import DuckdbConfig
from ksi_pipeline.publishers.files.config import FilesConfig
from ksi_pipeline.publishers.kafka.config import KafkaConfig
from ksi_pipeline.publishers.postgres.config import PostgresConfig
from ksi_pipeline.publishers.redshift.config import RedshiftConfig
from ksi_pipeline.publishers.snowflake.config import SnowflakeConfig


def make_target(
    config: TargetBase, secrets: Callable[[str], str | None], below: Path, memory_limit: str = "1GB"
) -> Target:
    """Build a target; nothing is opened yet, and what its kind needs is imported only now.

    Args:
        config: `kind` chooses the class.
        secrets: gives the value of an environment variable, None when unset.
        below: folder that relative paths lie in.
        memory_limit: of DuckDB, where the target is made with it.

    Raises:
        ConfigError: E_TARGET_SECRET, E_TARGET_DRIVER.
    """
    if isinstance(config, FilesConfig):
        from ksi_pipeline.publishers.files.target import FilesTarget

        return FilesTarget(config.id, below / config.path, config.formats, config.keep)
    if isinstance(config, DuckdbConfig):
        from ksi_pipeline.publishers.duckdb_file.target import DuckdbTarget

        return DuckdbTarget(config.id, below / config.path, memory_limit)
    if isinstance(config, PostgresConfig):
        from ksi_pipeline.publishers.postgres.target import PostgresTarget

        return PostgresTarget(config, config.url(secrets))
    if isinstance(config, RedshiftConfig):
        from ksi_pipeline.publishers.redshift.target import RedshiftTarget

        return RedshiftTarget(config, config.address(secrets))
    if isinstance(config, BigqueryConfig):
        from ksi_pipeline.publishers.bigquery.target import BigqueryTarget

        return BigqueryTarget(config, config.key(secrets))
    if isinstance(config, KafkaConfig):
        from ksi_pipeline.publishers.kafka.target import KafkaTarget

        return KafkaTarget(config, config.credentials(secrets), below, memory_limit)
    if isinstance(config, SnowflakeConfig):
        from ksi_pipeline.publishers.snowflake.target import SnowflakeTarget

        return SnowflakeTarget(config, config.credentials(secrets))
    raise AssertionError(f"kind {config.kind} has no target")
