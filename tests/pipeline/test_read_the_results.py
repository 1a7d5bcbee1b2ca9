"""The examples of docs/how-to/read-the-results.md run, one after the other, as they stand."""

import re
from importlib.util import find_spec

import pytest

from .homes import REPO

pytestmark = pytest.mark.slow

PAGE = REPO / "docs" / "how-to" / "read-the-results.md"


def test_every_example_runs_after_those_before_it(mall, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(mall.home)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert len(blocks) > 10
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, 1):
        if "import pandas" in block and not find_spec("pandas"):
            continue
        # a relation is computed when it is shown, so show it
        shown = re.sub(r'^"""\)$', '""").fetchall()', block, flags=re.M)
        exec(compile(shown, f"example {number} of {PAGE.name}", "exec"), names)
