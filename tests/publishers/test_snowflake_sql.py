"""What Snowflake is told, word by word, and what its errors mean; no server is needed."""

import re
from pathlib import Path

import pytest
import yaml

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.publishing import Column
from ksi_pipeline.publishers.config import read_targets
from ksi_pipeline.publishers.figures import figures_query
from ksi_pipeline.publishers.snowflake.failures import _code
from ksi_pipeline.publishers.snowflake.session import _settings as connection_settings
from ksi_pipeline.publishers.snowflake.sql import SNOWFLAKE, SnowflakeSql, quoted
from ksi_pipeline.publishers.snowflake.target import SnowflakeTarget, _type

from .places import COLUMNS, MART, ROWS

MARTS = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "marts"
SETTINGS = {
    "id": "t",
    "kind": "snowflake",
    "account": "myorg-myaccount",
    "user": "ksi_service",
    "private_key_env": "KEY",
    "warehouse": "LOADING",
    "database": "ANALYTICS",
}
# "cannot be used as an identifier" and "as a column name in create table", of its documentation
RESERVED = (
    "account all alter and any as between by case cast check column connect connection constraint "
    "create cross current current_date current_time current_timestamp current_user database delete "
    "distinct drop else exists false following for from full grant group gscluster having ilike in "
    "increment inner insert intersect into is issue join lateral left like localtime "
    "localtimestamp minus natural not null of on or order organization qualify regexp revoke right "
    "rlike row rows sample schema select set some start table tablesample then to trigger true "
    "try_cast union unique update using values view when whenever where with"
)


def config(**settings):
    (made,) = read_targets({"targets": [{**SETTINGS, **settings}]}, lambda _path: 1, "targets.yaml")
    return made


@pytest.fixture
def sql():
    return SnowflakeSql(config())


@pytest.fixture
def batch(marts):
    return marts.batch("2026-01", ROWS["2026-01"])


def test_a_partition_is_replaced_from_its_file(sql, batch):
    name, stage = batch.batch_id, f"ANALYTICS.KSI.KSI_STAGE_{batch.batch_id[:16]}"
    names = ", ".join(column.name for column in COLUMNS)
    assert [
        *sql.create_stage(batch),
        *sql.fill_stage(batch),
        *sql.replace_part(batch),
        *sql.drop_stage(batch),
    ] == [
        f"create or replace transient table {stage} (unit_key varchar, code varchar, "
        "business_date date, hour_start_utc timestamp_ntz, tickets number(38, 0), "
        "net_sales decimal(18,4), conversion_rate double, is_open boolean) "
        "data_retention_time_in_days = 0",
        f"put file://{name}.parquet @ANALYTICS.KSI.KSI_FILES/{name}/ "
        "auto_compress = false overwrite = true",
        f"copy into {stage} from @ANALYTICS.KSI.KSI_FILES/{name}/ file_format = (type = parquet "
        "use_logical_type = true binary_as_text = false null_if = ()) "
        "match_by_column_name = case_insensitive on_error = abort_statement force = true",
        f"delete from ANALYTICS.KSI.{MART} where business_date >= date '2026-01-01' and "
        "business_date < date '2026-02-01'",
        f"insert into ANALYTICS.KSI.{MART} ({names}, ksi_batch_id) "
        f"select {names}, '{name}' from {stage}",
        f"drop table if exists {stage}",
        f"remove @ANALYTICS.KSI.KSI_FILES/{name}/",
    ]


def test_a_table_has_its_descriptions_and_is_clustered_by_date(sql, batch):
    (made,) = sql.make_table(batch, None)
    assert made.startswith(
        f"create table if not exists ANALYTICS.KSI.{MART} "
        "(unit_key varchar comment 'The unit; it''s text.', "
    )
    assert made.endswith(
        "ksi_batch_id varchar comment 'The batch that brought the row.') "
        "cluster by (business_date) comment = 'Sales by hour.'"
    )


def test_a_table_without_dates_is_not_clustered(sql, marts):
    columns = (Column("unit_key", "text"),)
    (made,) = sql.make_table(marts.batch("whole", [("a",)], columns), None)
    assert "cluster by" not in made


def test_a_column_is_added_with_its_description(sql, batch):
    held = [column for column in COLUMNS if column.name != "unit_key"]
    assert sql.make_table(batch, held) == [
        f"alter table ANALYTICS.KSI.{MART} add column if not exists unit_key varchar "
        "comment 'The unit; it''s text.'"
    ]


def test_sums_are_exact_because_no_double_is_added(batch):
    query = figures_query("t", COLUMNS, (), SNOWFLAKE, is_by_month=False)
    sums = re.findall(r"sum\((.*?) as (bigint|decimal\(18,4\))\)\)", query)
    assert [kind for _, kind in sums] == [
        "decimal(18,4)" if column.name == "net_sales" else "bigint" for column in COLUMNS
    ]
    assert all(value.startswith("cast(") for value, _ in sums)


def test_text_of_a_description_ends_no_string():
    assert quoted(r"it's a \ ") == r"'it''s a \\ '"


def test_the_grants_are_these(sql):
    assert sql.grants() == [
        "create schema if not exists ANALYTICS.KSI;",
        "grant usage on warehouse LOADING to role KSI_PUBLISHER;",
        "grant usage on database ANALYTICS to role KSI_PUBLISHER;",
        "grant usage, create table, create stage on schema ANALYTICS.KSI to role KSI_PUBLISHER;",
        'grant role KSI_PUBLISHER to user "KSI_SERVICE";',
        "grant usage on database ANALYTICS to role KSI_READER;",
        "grant usage on schema ANALYTICS.KSI to role KSI_READER;",
        "grant select on all tables in schema ANALYTICS.KSI to role KSI_READER;",
        "grant select on future tables in schema ANALYTICS.KSI to role KSI_READER;",
    ]


def test_no_mart_has_a_name_that_must_be_quoted():
    models = [
        model
        for path in MARTS.glob("[!_]*.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    ]
    names = {model["name"] for model in models}
    names |= {column["name"] for model in models for column in model["columns"]}
    assert len(names) > 100
    assert {name for name in names if not re.fullmatch("[a-z_][a-z0-9_]*", name)} == set()
    assert names & set(RESERVED.split()) == set()


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ("NUMBER(38,0)", "bigint"),
        ("NUMBER(18,4)", "decimal(18,4)"),
        ("NUMBER(10,0)", "decimal(10,0)"),
        ("VARCHAR(16777216)", "text"),
        ("TIMESTAMP_NTZ(9)", "timestamp"),
        ("TIMESTAMP_TZ(9)", "timestamp_tz"),
        ("FLOAT", "double"),
        ("DATE", "date"),
        ("BOOLEAN", "boolean"),
        ("VARIANT", "variant"),
    ],
)
def test_types_have_our_names(told, ours):
    assert _type(told) == ours


@pytest.mark.parametrize(
    ("number", "state", "code"),
    [
        (390100, "28000", "E_TARGET_AUTH"),
        (390144, "28000", "E_TARGET_AUTH"),
        (390422, "08001", "E_TARGET_AUTH"),
        (390189, "08001", "E_TARGET_RIGHTS"),
        (3001, "42501", "E_TARGET_RIGHTS"),
        (2003, "02000", "E_TARGET_RIGHTS"),
        (2043, "02000", "E_TARGET_RIGHTS"),
        (606, "57P03", "E_TARGET_RIGHTS"),
        (604, "57014", "E_TARGET_TIMEOUT"),
        (625, "57014", "E_TARGET_TIMEOUT"),
        (630, "57014", "E_TARGET_TIMEOUT"),
        (100038, "22018", "E_TARGET_TYPE"),
        (100078, "22000", "E_TARGET_TYPE"),
        (250001, "08001", "E_TARGET_UNREACHABLE"),
        (251011, "n/a", "E_TARGET_UNREACHABLE"),
        (253003, "n/a", "E_TARGET_UNREACHABLE"),
        (290503, "n/a", "E_TARGET_UNREACHABLE"),
        (390114, "08001", "E_TARGET_UNREACHABLE"),
        (-1, "n/a", "E_TARGET_UNREACHABLE"),
        (1003, "42000", "E_TARGET_FAILED"),
    ],
)
def test_errors_have_their_codes(number, state, code):
    assert _code(number, state) == code


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"private_key_env": None}, "either private_key_env or", id="no secret"),
        pytest.param({"password_env": "P"}, "either private_key_env or", id="two secrets"),
        pytest.param(
            {"private_key_env": None, "password_env": "P", "passphrase_env": "Q"},
            "goes with private_key_env",
            id="phrase of no key",
        ),
        pytest.param({"url": "http://example.com"}, "url: ", id="in the clear"),
        pytest.param({"url": "https://me:s3cret@example.com"}, "url: ", id="secret in the URL"),
        pytest.param({"url": "https://:s3cret@example.com"}, "url: ", id="secret without a user"),
        pytest.param({"url": "https://example.com:port"}, "url: ", id="no port"),
        pytest.param({"database": "a b"}, "database: ", id="name"),
        pytest.param({"private_key_env": "-----BEGIN s3cret"}, "private_key_env: ", id="pasted"),
    ],
)
def test_a_target_that_is_not_safe_or_not_whole_is_refused(settings, said):
    with pytest.raises(ConfigError) as caught:
        config(**settings)
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_account_is_found_by_its_name():
    target = SnowflakeTarget(config(), config().credentials({"KEY": "pem"}.get))
    assert "pem" not in repr(target._credentials)
    assert connection_settings(config())["host"] == "myorg-myaccount.snowflakecomputing.com"
    assert connection_settings(config())["protocol"] == "https"


@pytest.mark.parametrize("missing", ["KEY", "PHRASE"])
def test_a_secret_that_is_not_set_is_named(missing):
    secrets = {"KEY": "pem", "PHRASE": "x", missing: " "}
    with pytest.raises(ConfigError, match=f"environment variable {missing} ") as caught:
        config(passphrase_env="PHRASE").credentials(secrets.get)
    assert caught.value.code == "E_TARGET_SECRET"
