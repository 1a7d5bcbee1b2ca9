"""Examples in the documentation work as they stand."""

import json
from typing import get_args

import pytest
import yaml

from ksi_pipeline.connectors.config import load_connectors
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.connectors.sql.guard import require_harmless
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.connectors.ticket_files.mapping import Columns, Mapping, load_mapping
from ksi_pipeline.core.ticket_row import KNOWN_FIELDS, read_amounts, read_code, read_time
from ksi_pipeline.publishers.config import KINDS, read_targets
from ksi_pipeline.space.load import load_space
from ksi_pipeline.space.model import (
    Area,
    Camera,
    Counting,
    Line,
    Link,
    SpaceFile,
    Tenancy,
    Unit,
    Zone,
)
from ksi_pipeline.space.site import Site
from ksi_pipeline.space.yaml_lines import read_yaml

from .pages import PAGES, REFERENCE, REPO, blocks, name_of, rows, section

EXAMPLE = REPO / "data" / "spaces" / "example-street.yaml.example"
SPACE_PAGE = REFERENCE / "space-model.md"


@pytest.fixture
def reference_example(tmp_path):
    path = tmp_path / "north-mall.yaml"
    path.write_text(blocks(SPACE_PAGE, "yaml")[0])
    return load_space(path)


def keys_of(model):
    keys = {field.alias or name for name, field in model.model_fields.items()}
    return keys - {"from", "to"}


def test_the_example_space_file_is_valid_and_counts():
    plan = load_space(EXAMPLE).plan()
    assert plan.sees == {"cam-door": frozenset({"window", "shelf", "door"})}
    assert [line.role for line in plan.lines] == ["entrance"]


def test_the_example_space_file_is_no_part_of_a_run():
    assert EXAMPLE not in EXAMPLE.parent.glob("*.yaml")


def test_the_space_file_in_the_reference_is_valid(reference_example):
    assert reference_example.site_id == "north-mall"


def test_the_space_file_in_the_reference_shows_every_list(reference_example):
    content = reference_example.file
    assert content.units
    assert content.zones
    assert content.lines
    assert content.cameras
    assert content.links


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        pytest.param("Top level", SpaceFile, id="top level"),
        pytest.param("site", Site, id="site"),
        pytest.param("counting", Counting, id="counting"),
        pytest.param("units", Unit, id="units"),
        pytest.param("zones", Zone, id="zones"),
        pytest.param("lines", Line, id="lines"),
        pytest.param("cameras", Camera, id="cameras"),
        pytest.param("links", Link, id="links"),
    ],
)
def test_every_key_of_the_space_model_is_documented(heading, model):
    listed = {
        key.strip("` ") for row in rows(section(SPACE_PAGE, heading)) for key in row[0].split(",")
    }
    assert listed == keys_of(model)


def test_the_keys_inside_a_unit_are_documented():
    text = section(SPACE_PAGE, "units")
    missing = [key for model in (Area, Tenancy) for key in keys_of(model) if f"`{key}`" not in text]
    assert missing == []


def examples(language, first):
    return [
        pytest.param(block, id=name_of(page))
        for page in PAGES
        for block in blocks(page, language)
        if block.startswith(first)
    ]


@pytest.mark.parametrize("text", examples("yaml", "opening_hours:"))
def test_opening_hours_in_the_docs_are_valid(text):
    site = "{id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}"
    given = Site.model_validate(yaml.safe_load(site) | read_yaml(text, "docs")[0])
    assert given.opening_hours


@pytest.mark.parametrize("text", examples("yaml", "connectors:"))
def test_connectors_in_the_docs_can_run(text, tmp_path):
    path = tmp_path / "connectors.yaml"
    path.write_text(text)
    (connector,) = load_connectors(path)
    assert connector.absent_means == "missing"


def test_every_setting_of_a_connector_is_documented():
    text = (REPO / "docs" / "how-to" / "connect-a-till.md").read_text()
    listed = {row[0].strip("`") for row in rows(text)}
    assert listed == set(HourlyApiConfig.model_fields)


@pytest.mark.parametrize("text", examples("json", "["))
def test_feed_rows_in_the_docs_keep_the_contract(text):
    for row in json.loads(text):
        assert read_code(row["ext_ref_code"]) == "0001"
        assert read_time(row["time"]).minute == 0
        assert read_amounts(row).num_tickets >= 0


def test_every_field_of_a_feed_row_is_documented():
    text = (REPO / "docs" / "how-to" / "connect-a-till.md").read_text()
    assert [field for field in sorted(KNOWN_FIELDS) if f"`{field}`" not in text] == []


def test_the_mapping_in_the_docs_can_be_used(tmp_path):
    page = REPO / "docs" / "how-to" / "load-ticket-files.md"
    (shown,) = [block for block in blocks(page, "yaml") if block.startswith("grain:")]
    path = tmp_path / "till.yaml"
    path.write_text(shown)
    assert load_mapping(path).columns.gift_card.otherwise == "no"


def test_every_key_of_a_mapping_and_of_its_connector_is_documented():
    text = (REPO / "docs" / "how-to" / "load-ticket-files.md").read_text()
    listed = {name for row in rows(text) for name in row[0].replace("`", "").split(", ")}
    keys = {*TicketFilesConfig.model_fields, *Mapping.model_fields, *Columns.model_fields}
    assert listed == keys - {"sha256"}


def test_every_setting_of_a_database_is_documented():
    text = (REPO / "docs" / "how-to" / "connect-a-database.md").read_text()
    listed = {name for row in rows(text) for name in row[0].replace("`", "").split(", ")}
    kinds = set(get_args(SqlConfig.model_fields["watermark_kind"].annotation))
    assert kinds <= listed
    assert listed - kinds == set(SqlConfig.model_fields)


def test_the_query_in_the_docs_reads_only_what_it_names():
    page = REPO / "docs" / "how-to" / "connect-a-database.md"
    (shown,) = [block for block in blocks(page, "yaml") if block.startswith("query:")]
    said = yaml.safe_load(shown)
    assert require_harmless("erp", said["query"], said["tables"], (), "postgresql")


def targets_in(text):
    return read_targets(yaml.safe_load(text), lambda _path: 1, "docs")


@pytest.mark.parametrize("text", examples("yaml", "targets:"))
def test_targets_in_the_docs_can_be_loaded(text):
    assert len(targets_in(text)) == 1


def test_the_page_of_snowflake_names_a_passphrase_as_the_key_that_it_makes_has_one():
    page = REPO / "docs" / "how-to" / "publish-to-snowflake.md"
    (shown,) = (block for block in blocks(page, "yaml") if block.startswith("targets:"))
    (made,) = (line for line in page.read_text().splitlines() if "openssl pkcs8" in line)
    (target,) = targets_in(shown)
    assert (target.passphrase_env is not None) == ("-nocrypt" not in made)


def test_the_example_of_targets_has_one_of_each_kind():
    text = (REPO / "data" / "targets.yaml.example").read_text()
    assert [target.kind for target in targets_in(text)] == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_of_a_target_is_documented_with_its_default(kind):
    page = REPO / "docs" / "how-to" / f"publish-to-{kind}.md"
    listed = {row[0].strip("`"): row[1].strip("`[]") for row in rows(page.read_text())}
    fields = {field.alias or name: field for name, field in KINDS[kind].model_fields.items()}
    assert set(listed) == set(fields)
    for name, field in fields.items():
        if field.is_required():
            assert listed[name] == "required"
        elif field.default is not None:
            default = field.default
            shown = ", ".join(default) if isinstance(default, list) else str(default)
            if isinstance(default, bool):
                shown = shown.lower()
            assert listed[name] == shown
