"""Shared fixtures: where the real data lies. How tests are shared among processes."""

import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, and begin with the files that take long.

    A group that a test names itself goes before that of its file: so several files share what one
    process has made. Files with slow tests go first, so that no process waits for the last of them.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


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
