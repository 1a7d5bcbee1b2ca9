"""A place of each kind; PostgreSQL only where servers are started."""

import pytest

from .places import PLACES, Marts


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.services if kind == "postgres" else ())
        for kind in PLACES
    ]
)
def place(request, tmp_path):
    """A target of each kind, empty."""
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return PLACES[request.param](tmp_path, server)


@pytest.fixture
def marts(tmp_path):
    """Where Parquet files of marts are made."""
    return Marts(tmp_path / "marts")
