"""Shared fixtures: real data, and servers that tests start. In which order tests run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .services.postgres import PostgresServer, running_postgres

REPO = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests, so that no process waits for the last of them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real inputs; where KSI_TEST_DATA is set, a missing folder fails the test."""
    named = os.environ.get("KSI_TEST_DATA")
    folder = Path(named) if named else REPO.parent / "shared" / "data"
    if folder.is_dir():
        return folder
    if named:
        pytest.fail(f"KSI_TEST_DATA={named} is no folder; real data must be there where it is set.")
    pytest.skip("No real data: set KSI_TEST_DATA to the folder that holds it.")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the session; tests that use it are marked `services`."""
    with running_postgres() as server:
        yield server
