"""A place of each kind; those that need a server only where servers are started."""

import pytest

from ..fork_server import ForkServer
from ..services.bigquery import running_bigquery
from ..services.redshift import running_redshift
from .kinds import PLACES, SERVERS
from .places import Marts
from .redshift_place import policies


@pytest.fixture(scope="session")
def bigquery():
    """What stands in for BigQuery."""
    with running_bigquery() as server:
        yield server


@pytest.fixture(scope="session")
def redshift(postgres):
    """What stands in for Redshift and S3, with the rights that --grants prints."""
    with running_redshift(postgres, *policies()) as server:
        yield server


@pytest.fixture(scope="session")
def forks():
    """Runs a program, its first argument, with what publishers import."""
    modules = [
        *("ksi_pipeline.publishers.registry", "ksi_pipeline.publishers.runner"),
        *("ksi_pipeline.store.receipts", "boto3", "confluent_kafka.admin", "google.cloud.bigquery"),
        *("psycopg", "redshift_connector", "snowflake.connector"),
    ]
    with ForkServer("program", "import sys; exec(sys.argv.pop(1))", modules) as server:
        yield server


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.services if kind in SERVERS else ()) for kind in PLACES
    ]
)
def place(request, tmp_path):
    """A target of each kind, empty."""
    kind = request.param
    server = request.getfixturevalue(kind) if kind in SERVERS else None
    return PLACES[kind](tmp_path, server)


@pytest.fixture
def marts(tmp_path):
    """Where Parquet files of marts are made."""
    return Marts(tmp_path / "marts")
