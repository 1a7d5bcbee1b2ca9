"""What only BigQuery has: load jobs with ids, its lease, layout of tables, credentials, limits."""

import json
import os
import re
import socket
import sys
from contextlib import nullcontext
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.errors import ConfigError, KsiError, PermanentError, TransientError
from ksi_pipeline.core.publishing import Column
from ksi_pipeline.publishers.bigquery.loads import instants
from ksi_pipeline.publishers.bigquery.sql import column_type
from ksi_pipeline.publishers.config import read_targets
from ksi_pipeline.publishers.plan import Change

from ..services.bigquery_proxy import Fault, any_query, upload
from .bigquery_place import BigqueryPlace
from .places import COLUMNS, MART, ROWS, SECRET

EVERYTHING = sorted(row for rows in ROWS.values() for row in rows)
SETTINGS = {"id": "t", "kind": "bigquery", "project": "ksi-test", "location": "EU"}


@pytest.fixture
def place(bigquery, tmp_path):
    return BigqueryPlace(tmp_path, bigquery)


@pytest.fixture
def proxy(place):
    return place.server.proxy


def ids(proxy):
    return [load["jobReference"]["jobId"] for load in proxy.loads()]


def publish(place, batches):
    """Publish without waiting between attempts."""
    target = place.target()
    target._sleep = lambda _seconds: None
    place.target = lambda: target
    return place.publish(batches)


def statements(place, batch):
    return place.target().statements(Change("publish", batch.part, batch, ""))


def january(marts):
    return marts.batches({"2026-01": ROWS["2026-01"]})


@pytest.mark.services
def test_a_load_job_is_named_by_what_it_loads_and_given_its_schema(place, marts, proxy):
    (batch,) = january(marts)
    place.publish([batch])
    (sent,) = proxy.loads()
    name = f"ksi_{place.dataset}_t_{MART}_2026-01_{batch.batch_id}_1"
    assert sent["jobReference"]["jobId"] == name
    load = sent["configuration"]["load"]
    assert load["autodetect"] is False
    assert load["writeDisposition"] == "WRITE_EMPTY"
    types = {field["name"]: field for field in load["schema"]["fields"]}
    assert types["hour_start_utc"]["type"] == "TIMESTAMP"
    assert (types["net_sales"]["precision"], types["net_sales"]["scale"]) == (18, 4)
    # without it, more decimals than NUMERIC has are refused
    assert load["decimalTargetTypes"] == ["NUMERIC", "BIGNUMERIC"]
    assert sent["configuration"]["jobTimeoutMs"] == "600000"
    assert sent["configuration"]["labels"].items() >= {"ksi_batch": batch.batch_id}.items()


@pytest.mark.services
def test_a_batch_that_is_loaded_again_has_the_next_attempt(place, marts, proxy):
    (batch,) = january(marts)
    place.publish([batch])
    place.alter(f"delete from {MART} where true")
    place.publish([batch])
    assert [name[-2:] for name in ids(proxy)] == ["_1", "_2"]
    assert place.rows() == sorted(ROWS["2026-01"])


@pytest.mark.services
def test_a_job_whose_answer_was_lost_is_found_and_used(place, marts, proxy):
    proxy.faults.append(Fault(upload))
    publish(place, january(marts))
    assert [name[-2:] for name in ids(proxy)] == ["_1"]
    assert place.rows() == sorted(ROWS["2026-01"])


@pytest.mark.services
def test_an_id_that_is_refused_as_known_is_looked_up(place, marts, proxy):
    (batch,) = january(marts)
    place.publish([batch])
    place.alter(f"delete from {MART} where true")
    proxy.clear()
    proxy.faults.append(Fault(lambda method, path: method == "GET" and "/jobs/" in path, 404))
    place.publish([batch])
    assert [name[-2:] for name in ids(proxy)] == ["_1", "_2"]
    assert place.rows() == sorted(ROWS["2026-01"])


@pytest.mark.services
def test_an_upload_that_is_cut_off_is_sent_again_with_the_same_id(place, marts, proxy):
    proxy.faults.append(Fault(upload, reads=1000))
    publish(place, january(marts))
    assert [name[-2:] for name in ids(proxy)] == ["_1", "_1"]
    assert place.rows() == sorted(ROWS["2026-01"])


@pytest.mark.services
def test_a_network_that_stays_away_leaves_what_readers_had(place, marts, proxy):
    place.publish(january(marts))
    proxy.faults.append(Fault(upload, reads=1000, times=9))
    with pytest.raises(TransientError) as caught:
        publish(place, marts.batches())
    assert caught.value.code == "E_TARGET_UNREACHABLE"
    assert place.rows() == sorted(ROWS["2026-01"])


@pytest.mark.services
def test_what_is_refused_for_the_moment_is_asked_again(place, marts, proxy):
    proxy.faults.append(Fault(any_query, 403, "rateLimitExceeded"))
    proxy.faults.append(Fault(any_query, 503, "backendError"))
    place.publish(january(marts))
    assert place.rows() == sorted(ROWS["2026-01"])


@pytest.mark.services
@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (403, "accessDenied", "E_TARGET_RIGHTS"),
        (404, "notFound", "E_TARGET_RIGHTS"),
        (401, "authError", "E_TARGET_AUTH"),
        (400, "invalid", "E_TARGET_TYPE"),
        (400, "bytesBilledLimitExceeded", "E_TARGET_QUOTA"),
        (400, "invalidQuery", "E_TARGET_FAILED"),
    ],
)
def test_what_bigquery_refuses_for_good_has_a_code(place, marts, proxy, status, reason, code):
    proxy.faults.append(Fault(any_query, status, reason, times=9))
    with pytest.raises(PermanentError) as caught:
        place.publish(january(marts), attempts=3, sleep=pytest.fail)
    assert caught.value.code == code
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.services
def test_without_its_dataset_the_message_says_how_to_get_it(place, marts, proxy):
    proxy.faults.append(Fault(any_query, 404, "notFound"))
    with pytest.raises(PermanentError, match="ksi publish t --grants") as caught:
        place.publish(january(marts))
    assert caught.value.code == "E_TARGET_RIGHTS"


@pytest.mark.services
def test_a_script_that_finds_other_figures_than_the_stage_shows_nothing(place, marts, monkeypatch):
    place.publish(january(marts))
    sql = type(place.target().sql)
    monkeypatch.setattr(sql, "replace_part", lambda self, batch: [self.remove_part(batch.part)])
    place.alter(f"update {MART} set tickets = 26 where tickets = 25")
    altered = place.rows()
    with pytest.raises(KsiError) as caught:
        place.publish(january(marts))
    assert caught.value.code == "E_RECONCILE"
    assert place.rows() == altered


@pytest.mark.services
def test_who_lost_the_lease_shows_nothing(place, marts):
    def told(what, _share):
        if what.startswith("apply"):
            lease = place.table("ksi_publisher")
            place.server.ask(f"update {lease} set holder = 'other:1:x' where true")

    with pytest.raises(TransientError) as caught:
        place.publish(january(marts), told=told)
    assert caught.value.code == "E_TARGET_BUSY"
    assert place.rows() == []


@pytest.mark.services
@pytest.mark.parametrize(
    ("holder", "ends", "is_free"),
    [
        pytest.param("elsewhere:1:x", "2999-01-01", False, id="lives elsewhere"),
        pytest.param("elsewhere:1:x", "2026-01-01", True, id="ran out"),
        pytest.param(f"{socket.gethostname()}:{2**22 + 1}:x", "2999-01-01", True, id="died here"),
        pytest.param(f"{socket.gethostname()}:{os.getpid()}:x", "2999-01-01", False, id="lives"),
    ],
)
def test_the_lease_of_another_publisher_holds_while_it_lives(place, holder, ends, is_free):
    with place.target().hold():
        pass
    lease = place.table("ksi_publisher")
    ends = f"timestamp '{ends}'"
    place.server.ask(f"update {lease} set holder = '{holder}', ends = {ends} where true")
    expected = (
        nullcontext() if is_free else pytest.raises(TransientError, match="another publisher")
    )
    with expected, place.target().hold():
        pass


@pytest.mark.services
def test_what_a_killed_run_staged_is_dropped(place, marts):
    place.publish_until(marts.batches(), 3)
    with place.server.client() as client:
        stages = [t.table_id for t in client.list_tables(place.dataset) if "stage" in t.table_id]
        assert len(stages) == 1
        place.publish(marts.batches())
        names = {table.table_id for table in client.list_tables(place.dataset)}
    assert names == {MART, "ksi_publisher"}


@pytest.mark.services
def test_every_row_names_its_batch(place, marts):
    batches = marts.batches()
    place.publish(batches)
    found = place.server.ask(f"select distinct ksi_batch_id from {place.table()}")
    assert {row[0] for row in found} == {batch.batch_id for batch in batches}


@pytest.mark.services
def test_an_instant_is_a_timestamp_in_utc(place, marts):
    place.publish(january(marts))
    (found,) = place.server.ask(f"select min(hour_start_utc) from {place.table()}")
    assert found[0] == datetime(2026, 1, 30, 9, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.services
def test_queries_have_a_limit_in_bytes_and_in_time(bigquery, tmp_path, marts):
    place = BigqueryPlace(tmp_path, bigquery, maximum_bytes_billed=10**9, step_timeout_s=60)
    place.publish(january(marts))
    sent = bigquery.proxy.queries()
    assert {query["maximumBytesBilled"] for query in sent} == {str(10**9)}
    assert {query["jobTimeoutMs"] for query in sent} == {"60000"}
    assert {query["location"] for query in sent} == {"EU"}


@pytest.mark.services
def test_where_no_limit_in_bytes_is_set_none_is_sent(place, marts, proxy):
    place.publish(january(marts))
    assert [query for query in proxy.queries() if "maximumBytesBilled" in query] == []


def offline(**settings):
    """A target that is never asked anything."""
    from ksi_pipeline.publishers.registry import make_target

    (config,) = read_targets({"targets": [{**SETTINGS, **settings}]}, lambda _path: 1, "t")
    return lambda secrets: make_target(config, secrets.get, None)


@pytest.fixture
def golden(marts):
    """The statements that replace a month, without the table's columns being asked for."""
    target = offline()({})
    target.columns = lambda _mart: None
    (batch,) = january(marts)
    return batch, target.statements(Change("publish", batch.part, batch, ""))


def test_a_table_is_made_with_partitions_clusters_descriptions_and_labels(golden):
    _, told = golden
    (made,) = [one for one in told if one.startswith("create table")]
    assert made == (
        "create table `ksi-test.ksi.fct_sales` (`unit_key` STRING options("
        'description="The unit; it\'s text."), `code` STRING, `business_date` DATE, '
        "`hour_start_utc` TIMESTAMP, `tickets` INT64, `net_sales` NUMERIC(18, 4), "
        "`conversion_rate` FLOAT64, `is_open` BOOL, ksi_batch_id STRING) "
        "partition by date_trunc(business_date, month) cluster by unit_key "
        'options(description="Sales by hour.", labels=[("ksi_target", "t")])'
    )


@pytest.mark.parametrize(
    ("kind", "made"),
    [("decimal(38,9)", "NUMERIC(38, 9)"), ("decimal(38,10)", "BIGNUMERIC(38, 10)")],
)
def test_a_decimal_of_more_digits_than_numeric_has_is_a_bignumeric(kind, made):
    assert column_type(Column("part", kind)) == made


def test_a_stage_expires_and_is_labelled(golden):
    batch, told = golden
    assert told[0].startswith(
        f"create or replace table `ksi-test.ksi.ksi_stage_{batch.batch_id[:16]}`"
    )
    assert "interval 24 hour" in told[0]
    assert f'("ksi_batch", "{batch.batch_id}")' in told[0]


def test_the_script_commits_only_under_the_lease_and_with_the_figures_of_the_stage(golden):
    _, told = golden
    (script,) = [one for one in told if "begin transaction" in one]
    lines = script.split(";\n")
    assert lines[2] == "begin transaction"
    assert lines[3].startswith("update `ksi-test.ksi.ksi_publisher` set ends")
    assert lines[4] == (
        "delete from `ksi-test.ksi.fct_sales` where business_date >= date '2026-01-01' "
        "and business_date < date '2026-02-01'"
    )
    assert lines[5].startswith("insert into `ksi-test.ksi.fct_sales`")
    assert lines[8:] == [
        "if is_mine and seen = '<the figures of the stage>' then commit transaction",
        "else rollback transaction",
        "end if",
        "select seen, is_mine;",
    ]


def test_sums_are_of_a_type_that_holds_the_instants_of_any_month(golden):
    _, told = golden
    (script,) = [one for one in told if "begin transaction" in one]
    summed = re.findall(r"sum\(cast\(.*? as (\w+)\)\) as string\)", script)
    assert summed == ["bignumeric"] * script.count("sum(") == ["bignumeric"] * len(COLUMNS)


def test_the_parquet_that_is_sent_says_which_times_are_instants(marts):
    (batch,) = january(marts)
    with instants(batch) as path:
        assert pq.read_schema(path).field("hour_start_utc").type == pa.timestamp("us", "UTC")


def test_grants_are_a_dataset_rights_on_it_and_jobs():
    told = offline(publisher="serviceAccount:ksi@example.com")({}).grants()
    assert told[:2] == [
        "bq --location=EU mk --force --dataset ksi-test:ksi",
        "bq query --project_id=ksi-test --location=EU --use_legacy_sql=false "
        "'grant `roles/bigquery.dataEditor` on schema `ksi-test.ksi` "
        'to "serviceAccount:ksi@example.com"\'',
    ]
    assert [line.split("--role=")[1] for line in told[3:]] == [
        "roles/bigquery.jobUser --condition=None"
    ] * 2


@pytest.mark.parametrize("value", [f"no key {SECRET}", json.dumps({"private_key": SECRET}), "{"])
def test_a_variable_that_holds_no_key_is_told_and_not_shown(value):
    with pytest.raises(ConfigError) as caught:
        offline(credentials_env="BQ_KEY")({"BQ_KEY": value}).columns(MART)
    assert caught.value.code == "E_TARGET_SECRET"
    shown = f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
    assert SECRET not in shown


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(ConfigError, match="BQ_KEY"):
        offline(credentials_env="BQ_KEY")({})


def test_without_credentials_the_message_says_where_to_put_them(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(PermanentError, match="credentials_env") as caught:
        offline()({}).columns(MART)
    assert caught.value.code == "E_TARGET_AUTH"


def test_a_target_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    monkeypatch.delattr("google.cloud.bigquery", raising=False)
    with pytest.raises(ConfigError, match=r"\.\[bigquery\]"):
        offline()({}).columns(MART)


@pytest.mark.parametrize(
    "setting",
    [{"api_endpoint": "http://bigquery.example.com"}, {"lease_s": 10}, {"project": "No Project"}],
)
def test_settings_that_would_do_harm_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting)).replace("lease_s", "target")):
        offline(**setting)
