"""From a connector's configuration to the object that asks: the one list of kinds."""

from collections.abc import Callable
from datetime import datetime

from ksi_pipeline.connectors.base import Connector
from ksi_pipeline.connectors.hourly_api import HourlyApi
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig, Secrets
from ksi_pipeline.http import Hosts, HttpClient


def make_connector(
    config: HourlyApiConfig,
    secrets: Secrets,
    clock: Callable[[], datetime],
    http: HttpClient | None = None,
    hosts: Hosts | None = None,
    on_wait: Callable[[str], None] = lambda _what: None,
) -> Connector:
    """Build a connector; nothing is asked yet.

    Args:
        config: `kind` chooses the class.
        secrets: gives the value of an environment variable, None when unset.
        clock: aware UTC now.
        http: for tests; by default a client with the connector's own limits.
        hosts: what other connectors of the run know of the hosts they ask.
        on_wait: told before each wait for another attempt, why and how long.

    Raises:
        ConfigError: E_TOKEN_MISSING, E_TOKEN_INVALID.
    """
    return HourlyApi(
        connector_id=config.id,
        url=config.url,
        http=http or HttpClient(config.http_limits(), hosts=hosts, on_wait=on_wait),
        token=config.token(secrets),
        clock=clock,
    )
