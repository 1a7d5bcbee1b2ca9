"""What is said to Redshift and uploaded for it, word by word; no server is needed."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.errors import ConfigError, ContractError, KsiError, TransientError
from ksi_pipeline.core.publishing import Batch, Column, Part
from ksi_pipeline.publishers.redshift.config import RedshiftConfig
from ksi_pipeline.publishers.redshift.copy_files import copy_files
from ksi_pipeline.publishers.redshift.failures import ask
from ksi_pipeline.publishers.redshift.policies import copy_policy, upload_policy
from ksi_pipeline.publishers.redshift.sql import RedshiftSql

from .places import COLUMNS, ROWS, SECRET

ROLE = "arn:aws:iam::123456789012:role/ksi-copy"


def config(**settings):
    given = {"url_env": "WH", "s3": "s3://acme-ksi/exports", "iam_role": ROLE, **settings}
    return RedshiftConfig.model_validate({"id": "wh", "kind": "redshift", **given})


def address(url, **settings):
    return config(**settings).address({"WH": url}.get)


@pytest.fixture
def batch(marts):
    return marts.batch("2026-01", ROWS["2026-01"])


def of_mart(batch, mart, columns, key):
    return Batch(Part(mart), batch.path, "c", 1, columns, key, "About it.")


def test_the_stage_and_its_copy(batch):
    sql, stage = RedshiftSql(config()), f'"ksi"."ksi_stage_{batch.batch_id[:16]}"'
    assert sql.create_stage(batch) == [
        f"drop table if exists {stage}",
        f'create table {stage} ("unit_key" varchar(1024), "code" varchar(1024), '
        '"business_date" date, "hour_start_utc" timestamp, "tickets" bigint, '
        '"net_sales" decimal(18,4), "conversion_rate" double precision, "is_open" boolean) '
        "diststyle even",
    ]
    assert sql.fill_stage(batch) == [
        f"copy {stage} from 's3://acme-ksi/exports/ksi-stage/wh/{batch.batch_id}/manifest' "
        f"iam_role '{ROLE}' format as parquet manifest"
    ]


def test_a_fact_lies_by_unit_and_is_sorted_by_day(batch):
    made = RedshiftSql(config(schema="bi")).make_table(batch, None)
    assert made[0].startswith('create table "bi"."fct_sales" ("unit_key" varchar(1024), ')
    assert made[0].endswith(
        '"is_open" boolean, ksi_batch_id varchar(32)) diststyle key distkey ("unit_key") '
        'compound sortkey ("business_date", "unit_key", "hour_start_utc")'
    )
    assert made[1:] == [
        'comment on table "bi"."fct_sales" is \'Sales by hour.\'',
        'comment on column "bi"."fct_sales"."unit_key" is \'The unit; it\'\'s text.\'',
    ]


@pytest.mark.parametrize(
    ("mart", "names", "layout"),
    [
        pytest.param(
            "dim_site",
            ["site_key", "site_id"],
            'diststyle all compound sortkey ("site_key")',
            id="dimension",
        ),
        pytest.param(
            "fct_site",
            ["site_key", "business_date"],
            'diststyle key distkey ("site_key") compound sortkey ("business_date", "site_key")',
            id="fact of sites",
        ),
        pytest.param("fct_other", ["a"], "diststyle even", id="fact of neither"),
    ],
)
def test_where_rows_lie(batch, mart, names, layout):
    given = of_mart(batch, mart, tuple(Column(name, "text") for name in names), ("site_key",))
    (made, _) = RedshiftSql(config()).make_table(given, None)
    assert made.endswith(f"varchar(32)) {layout}")


def test_a_partition_is_replaced_by_delete_and_insert(batch):
    names = ", ".join(f'"{column.name}"' for column in COLUMNS)
    assert RedshiftSql(config()).replace_part(batch) == [
        'delete from "ksi"."fct_sales" where business_date >= date \'2026-01-01\' and '
        "business_date < date '2026-02-01'",
        f'insert into "ksi"."fct_sales" ({names}, ksi_batch_id) select {names}, '
        f'\'{batch.batch_id}\' from "ksi"."ksi_stage_{batch.batch_id[:16]}"',
    ]


def test_columns_that_are_new_are_added_one_by_one(batch):
    made = RedshiftSql(config(text_bytes=65535)).make_table(batch, COLUMNS[2:])
    assert made[:2] == [
        'alter table "ksi"."fct_sales" add column "unit_key" varchar(65535)',
        'alter table "ksi"."fct_sales" add column "code" varchar(65535)',
    ]


def test_a_backslash_in_a_description_stays_one(batch):
    given = of_mart(batch, "dim_x", (Column("a", "text", description="a\\b"),), ())
    assert RedshiftSql(config()).make_table(given, None)[2].endswith("is 'a\\\\b'")


def test_files_have_the_columns_of_the_batch_in_their_order_and_the_types_of_the_table(tmp_path):
    # a mart's file may have other widths and another order
    rows = pa.table({"b": pa.array([7], pa.int32()), "a": pa.array(["x"]), "c": [1]})
    pq.write_table(rows, tmp_path / "in.parquet")
    columns = (Column("a", "text"), Column("b", "bigint"))
    given = Batch(Part("m"), tmp_path / "in.parquet", "c", 1, columns)
    (path,) = copy_files("wh", given, tmp_path, 1024)
    found = pq.ParquetFile(path)
    assert [(c.name, c.physical_type) for c in found.schema] == [
        ("a", "BYTE_ARRAY"),
        ("b", "INT64"),
    ]
    assert found.read().to_pylist() == [{"a": "x", "b": 7}]


def test_instants_and_amounts_are_written_as_copy_reads_them(batch, tmp_path):
    (path,) = copy_files("wh", batch, tmp_path, 1024)
    kinds = {c.name: c.physical_type for c in pq.ParquetFile(path).schema}
    assert kinds["hour_start_utc"] == "INT96"
    assert kinds["net_sales"] == "FIXED_LEN_BYTE_ARRAY"


def test_more_rows_than_a_file_holds_go_to_the_next(marts, tmp_path, monkeypatch):
    monkeypatch.setattr("ksi_pipeline.publishers.redshift.copy_files.ROWS_PER_FILE", 2)
    monkeypatch.setattr("ksi_pipeline.publishers.redshift.copy_files._ROWS_AT_ONCE", 1)
    batch = marts.batch("2026-01", [ROWS["2026-01"][0]] * 5)
    counts = {p.name: pq.read_metadata(p).num_rows for p in copy_files("w", batch, tmp_path, 999)}
    assert counts == {"part-00000.parquet": 2, "part-00001.parquet": 2, "part-00002.parquet": 1}


def test_a_text_that_is_too_long_in_bytes_is_named_before_anything_is_sent(marts, tmp_path):
    # 300 letters, 600 bytes
    row = ("ä" * 300, *ROWS["2026-01"][0][1:])
    with pytest.raises(ContractError, match="unit_key has 600 bytes, and the table takes 512") as e:
        list(copy_files("wh", marts.batch("2026-01", [row]), tmp_path, 512))
    assert e.value.code == "E_TARGET_TYPE"


def test_the_policies_allow_what_lies_below_our_prefix_and_nothing_else():
    objects = "arn:aws:s3:::acme-ksi/exports/ksi-stage/wh/*"
    below = {"StringLike": {"s3:prefix": ["exports/ksi-stage/wh/*"]}}
    listed = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": ["arn:aws:s3:::acme-ksi"],
        "Condition": below,
    }
    read = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [objects]}
    assert copy_policy(config()) == {"Version": "2012-10-17", "Statement": [listed, read]}
    first, uploads, written = upload_policy(config())["Statement"]
    assert first == listed
    assert uploads["Action"] == ["s3:ListBucketMultipartUploads"]
    assert written["Resource"] == [objects]
    assert written["Action"] == ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]


def test_the_grants_are_sql_with_the_policies_as_comments():
    said = RedshiftSql(config(cluster="main")).grants()
    assert said[0] == 'create schema if not exists "ksi";'
    assert said[4] == (
        'alter default privileges for user "ksi_publisher" in schema "ksi" '
        'grant select on tables to "ksi_reader";'
    )
    uploads, copies = (json.loads(line[3:]) for line in said if line.startswith("-- {"))
    assert uploads == upload_policy(config(cluster="main"))
    assert "redshift:GetClusterCredentials" in json.dumps(uploads)
    assert copies == copy_policy(config())
    assert all(line.endswith(";") or line.startswith("--") for line in said)


def test_an_address_is_read_from_the_url():
    found = address("redshift://me:p%40ss@host.example/db")
    assert (found.host, found.port, found.database) == ("host.example", 5439, "db")
    assert (found.user, found.password, found.sslmode) == ("me", "p@ss", "verify-full")
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "",
        f"no url {SECRET}",
        f"mysql://me:{SECRET}@host/db",
        f"redshift://me:{SECRET}@host",
        f"redshift://me:{SECRET}@host:port/db",
        f"redshift://me:{SECRET}@host/db?sslmode=allow",
        "redshift://me@host/db",
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(url):
    with pytest.raises(ConfigError) as caught:
        address(url)
    assert caught.value.code == "E_TARGET_SECRET"
    assert SECRET not in str(caught.value)


def test_temporary_credentials_need_no_password():
    assert address("redshift://me@host/db", cluster="main").password is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"s3": "s3://acme-ksi/it's"},
        {"s3": "https://acme-ksi"},
        {"iam_role": "AKIAIOSFODNN7EXAMPLE"},
        {"cluster": "a", "workgroup": "b"},
        {"text_bytes": 65536},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match=r"1 validation error"):
        config(**wrong)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("User arn:aws:x is not authorized to assume IAM Role arn:aws:y", "E_TARGET_RIGHTS"),
        ("Not authorized to get credentials of role arn:aws:y", "E_TARGET_RIGHTS"),
        ("S3ServiceException:Access Denied,Status 403,Error AccessDenied", "E_TARGET_RIGHTS"),
        ("S3ServiceException:Please reduce,Status 503,Error SlowDown", "E_TARGET_UNREACHABLE"),
        ("1023\nDETAIL: Serializable isolation violation on table - 1", "E_TARGET_TIMEOUT"),
        ("Spectrum Scan Error", "E_TARGET_TYPE"),
        ("something else", "E_TARGET_FAILED"),
    ],
)
def test_what_redshift_has_one_state_for_is_told_apart_by_its_words(message, code):
    driver = pytest.importorskip("redshift_connector")

    def refuse():
        raise driver.ProgrammingError({"C": "XX000", "M": f"{message} {SECRET}"})

    with pytest.raises(KsiError) as caught:
        ask("wh", "WH", refuse)
    assert caught.value.code == code
    is_passing = code in ("E_TARGET_UNREACHABLE", "E_TARGET_TIMEOUT")
    assert isinstance(caught.value, TransientError) == is_passing
    assert SECRET not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
