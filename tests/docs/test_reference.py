"""Reference pages say what the code says: nothing undocumented, nothing stale."""

import importlib.util
import re
from dataclasses import asdict

import pytest
import yaml

from ksi_pipeline.core.benchmarks import ALL
from ksi_pipeline.core.effect_words import REASONS
from ksi_pipeline.core.feed_coverage import ABSENT_HOUR
from ksi_pipeline.core.schemas import DATASETS, LEDGER_VIEWS, ON_REQUEST
from ksi_pipeline.settings import Settings
from ksi_pipeline.space.metrics import load_metric_rules
from ksi_pipeline.store.snapshot import analyst_statements
from video_ingest.coverage import OVERLAPPED
from video_ingest.tracker_state import TRACKER_VERSION, TrackerParams

from .pages import REFERENCE, REPO, bare, rows, section

SCHEMAS = {**DATASETS, **LEDGER_VIEWS, **ON_REQUEST}
MARTS = REPO / "dbt_project" / "models"


def env_name(field):
    alias = Settings.model_fields[field].validation_alias
    return alias.choices[0] if alias else f"KSI_{field}".upper()


def settings_rows():
    """Rows of the table of environment variables, which stands above the first heading."""
    return rows((REFERENCE / "settings.md").read_text().partition("\n## ")[0])


def test_every_setting_is_documented_with_its_variable():
    listed = {bare(row[0]): bare(row[1]) for row in settings_rows()}
    assert listed == {field: env_name(field) for field in Settings.model_fields}


def test_documented_defaults_of_settings_are_the_real_ones():
    listed = {bare(row[0]): bare(row[2]) for row in settings_rows()}
    for name, field in Settings.model_fields.items():
        if field.default is not None and name != "dbt_project_dir":
            assert listed[name] == str(field.default)


def test_every_dbt_variable_is_documented_with_its_default_or_as_given_by_the_run():
    text = section(REFERENCE / "settings.md", "How the marts count")
    project = yaml.safe_load((REPO / "dbt_project" / "dbt_project.yml").read_text())
    listed = {bare(row[0]): yaml.safe_load(bare(row[1])) for row in rows(text)}
    given_by_the_run = set(project["vars"]) - set(listed)
    assert given_by_the_run == {"final_after_s", "final_after_by_connector"}
    assert all(f"`{name}`" in text for name in given_by_the_run)
    assert listed == {name: project["vars"][name] for name in listed}


def test_the_metrics_file_in_the_docs_can_be_used(tmp_path):
    (shown,) = re.findall(
        r"```yaml\n(.*?)```", section(REFERENCE / "settings.md", "How the marts count"), re.S
    )
    path = tmp_path / "metrics.yaml"
    path.write_text(shown)
    assert load_metric_rules(path)["engaged_dwell_s"] == 30


def test_every_setting_of_the_tracker_is_documented_with_its_default():
    text = section(REFERENCE / "tracker.md", "Settings of the tracker")
    listed = {bare(row[0]): bare(row[1]) for row in rows(text)}
    assert listed == {name: str(value) for name, value in asdict(TrackerParams()).items()}
    assert TRACKER_VERSION in (REFERENCE / "tracker.md").read_text()


def codes_in_source():
    sources = [*REPO.glob("ksi_pipeline/**/*.py"), *REPO.glob("video_ingest/**/*.py")]
    return {code for path in sources for code in re.findall(r'"(E_[A-Z0-9_]+)"', path.read_text())}


def test_every_error_code_is_documented_and_none_is_stale():
    listed = [bare(row[0]) for row in rows((REFERENCE / "error-codes.md").read_text())]
    assert sorted(listed) == sorted(codes_in_source())


def test_every_error_code_says_what_it_means_and_what_to_do():
    thin = [row[0] for row in rows((REFERENCE / "error-codes.md").read_text()) if not all(row[:3])]
    assert thin == []


def test_every_dataset_is_documented_and_none_is_stale():
    text = (REFERENCE / "datasets.md").read_text()
    assert re.findall(r"^## (\w+)$", text, re.M) == list(SCHEMAS)


@pytest.mark.parametrize("dataset", SCHEMAS)
def test_every_column_of_a_dataset_is_documented_with_its_type(dataset):
    listed = [
        (bare(row[0]), bare(row[1]), row[2])
        for row in rows(section(REFERENCE / "datasets.md", dataset))
    ]
    assert listed == [
        (field.name, str(field.type), "yes" if field.nullable else "no")
        for field in SCHEMAS[dataset]
    ]


@pytest.mark.parametrize("dataset", SCHEMAS)
def test_every_column_that_may_be_null_says_what_null_means(dataset):
    listed = rows(section(REFERENCE / "datasets.md", dataset))
    assert [row[0] for row in listed if row[2] == "yes" and "null" not in row[3]] == []


def builder(name):
    spec = importlib.util.spec_from_file_location(name, REPO / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_metrics_is_what_the_models_say():
    module = builder("build_metrics")
    assert module.PAGE.read_text() == module.build(), "run: python docs/build_metrics.py"


def test_every_ratio_of_a_mart_has_a_metric_definition():
    assert builder("build_metrics").undefined() == []


def test_the_page_of_marts_is_what_the_models_say():
    module = builder("build_marts")
    assert module.PAGE.read_text() == module.build(), "run: python docs/build_marts.py"


def test_the_page_of_marts_names_every_model_and_column():
    for path in MARTS.glob("marts/[!_]*.yml"):
        for model in yaml.safe_load(path.read_text())["models"]:
            listed = rows(section(REFERENCE / "marts.md", model["name"]))
            assert [bare(row[0]) for row in listed] == [c["name"] for c in model["columns"]]


def test_every_view_and_macro_of_a_snapshot_is_documented_and_none_is_stale():
    text = section(REPO / "docs" / "how-to" / "read-the-results.md", "Views and macros")
    listed = [re.match(r"\w+", bare(row[0]))[0] for row in rows(text)]
    made = [re.match(r"create (?:view|macro) (\w+)", each)[1] for each in analyst_statements()]
    assert sorted(listed) == sorted(made)


def words_in_marts():
    """Words that the SQL writes into basis, status and reason."""
    named = ("int_unit_source_hours", "int_unit_sales", "int_tenant_months")
    named += ("int_density_months", "int_density_scopes", "int_density_rates")
    named += ("int_funnel_hours",)
    sources = [*MARTS.glob("marts/*.sql"), *(MARTS / "intermediate" / f"{n}.sql" for n in named)]
    return {
        word
        for path in sources
        for word in re.findall(
            r"(?:then|else|, ?)\s*'([a-z_]+)'|'([a-z_]+)' as silent_reason",
            re.sub(r"\{(\{.*?\}|%.*?%)\}", "", path.read_text(), flags=re.S),
        )
        for word in word
        if word
    } - {"camera", "feed", ALL, "unit", "tenants", "centre", "_site"}


def test_every_basis_status_and_reason_is_documented():
    page = (REFERENCE / "reasons.md").read_text()
    listed = {bare(row[0]) for row in rows(page)}
    written = words_in_marts()
    assert {"measured", "closed", "no_entries", "feed_silent", "camera_silent"} <= written
    written |= {ABSENT_HOUR, OVERLAPPED, "unreadable", "silent", "refused"}
    written |= {"below_k", "dominated", "complementary"}
    written |= set(REASONS)
    assert listed - {"an E_ code"} == written


def test_every_reason_has_one_row():
    listed = [bare(row[0]) for row in rows(section(REFERENCE / "reasons.md", "reason"))]
    assert sorted(listed) == sorted(set(listed))


def test_every_value_that_dbt_accepts_is_documented():
    page = REFERENCE / "reasons.md"
    for path in MARTS.glob("marts/[!_]*.yml"):
        for model in yaml.safe_load(path.read_text())["models"]:
            for column in model["columns"]:
                if column["name"] in ("basis", "status"):
                    (test,) = column["data_tests"]
                    accepted = test["accepted_values"]["arguments"]["values"]
                    listed = {bare(row[0]) for row in rows(section(page, column["name"]))}
                    assert set(accepted) <= listed
