"""From a connector's configuration to the object that asks: the one list of kinds."""

from collections.abc import Callable
from datetime import datetime

from ksi_pipeline.connectors.base import Connector
from ksi_pipeline.connectors.config import ConnectorConfig, Secrets
from ksi_pipeline.connectors.hourly_api import HourlyApi
from ksi_pipeline.http import HttpClient


def make_connector(
    config: ConnectorConfig,
    secrets: Secrets,
    clock: Callable[[], datetime],
    http: HttpClient | None = None,
) -> Connector:
    """Build a connector; nothing is asked yet.

    Args:
        config: `kind` chooses the class.
        secrets: gives the value of an environment variable, None when unset.
        clock: aware UTC now.
        http: for tests; by default a client with the connector's own limits.

    Raises:
        ConfigError: E_TOKEN_MISSING, E_TOKEN_INVALID.
    """
    return HourlyApi(
        connector_id=config.id,
        url=config.url,
        http=http or HttpClient(config.http_limits()),
        token=config.token(secrets),
        clock=clock,
    )
