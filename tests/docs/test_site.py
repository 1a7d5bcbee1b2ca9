"""The site of the models names no machine and no invocation, and no column lacks its words."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from .pages import REPO


@pytest.fixture(scope="module")
def site():
    path = REPO / "docs" / "build_site.py"
    spec = importlib.util.spec_from_file_location("build_site", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_paths_and_the_invocation_are_taken_out(site):
    text = '{"invocation_id": "a-1", "user_id": null, "compiled_path": "/work/x/a.sql"}'
    assert site.without_machine(text, [Path("/work/x")]) == (
        '{"invocation_id": null, "user_id": null, "compiled_path": "a.sql"}'
    )


def test_a_page_that_still_names_the_home_folder_is_refused(site):
    with pytest.raises(ValueError, match="not written"):
        site.without_machine(f"{Path.home()}/secret", [Path("/work/x")])


def test_every_model_and_every_column_that_is_listed_is_described():
    bare = []
    for path in (REPO / "dbt_project" / "models").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            for thing in [model, *model.get("columns", [])]:
                if not str(thing.get("description", "")).strip():
                    bare.append(f"{model['name']}: {thing['name']}")
    assert bare == []
