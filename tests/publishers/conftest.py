"""A place of each kind; those that need a server only where servers are started."""

import pytest

from ..services.bigquery import running_bigquery
from ..services.redshift import running_redshift
from .places import PLACES, SERVERS, Marts
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


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.services if kind in SERVERS else ()) for kind in PLACES
    ]
)
def place(request, tmp_path):
    """A target of each kind, empty."""
    needed = SERVERS.get(request.param)
    server = request.getfixturevalue(needed) if needed else None
    return PLACES[request.param](tmp_path, server)


@pytest.fixture
def marts(tmp_path):
    """Where Parquet files of marts are made."""
    return Marts(tmp_path / "marts")
