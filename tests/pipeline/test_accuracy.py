"""Every metric of a simulated mall's marts is within its tolerance, and the comparison can fail."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ksi_pipeline.sandbox.accuracy import accuracy_of
from ksi_pipeline.sandbox.accuracy_metrics import METRICS

pytestmark = pytest.mark.slow


def judged(mall, truth=None):
    found = accuracy_of(mall.workspace.home.current_db, truth or mall.truth)
    return {each.metric: each for each in found}


def failed(mall, truth):
    return {name for name, each in judged(mall, truth).items() if each.is_within is False}


def with_column(table, name, column):
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), column.cast(table.schema.field(at).type))


@pytest.fixture(scope="module")
def found(mall):
    return judged(mall)


@pytest.mark.parametrize("metric", [metric.name for metric in METRICS])
def test_a_metric_of_the_marts_is_as_near_to_the_truth_as_it_has_to_be(found, metric):
    one = found[metric]
    assert one.compared > 0
    assert one.not_measured == 0
    assert one.worst_error <= one.tolerance + 1e-9, one.worst_at
    assert one.is_within


def test_what_no_camera_saw_is_compared_with_nothing(found):
    # 24 open unit-hours: one dark throughout, and one with video for each unit
    assert found["entries by hour"].compared == 21
    assert found["tickets by hour"].compared == 23


def test_one_person_too_few_at_a_door_fails_the_entries_alone(mall):
    hours = mall.truth.unit_hours
    is_first = pa.array([number == 0 for number in range(hours.num_rows)])
    more = pc.if_else(is_first, pc.add(hours["entries_seen"], 1), hours["entries_seen"])
    truth = replace(mall.truth, unit_hours=with_column(hours, "entries_seen", more))
    assert failed(mall, truth) == {"entries by hour"}


def test_a_cent_too_few_fails_every_amount(mall):
    hours = mall.truth.unit_hours
    cent = pa.scalar("0.01").cast(pa.decimal128(18, 4))
    truth = replace(
        mall.truth,
        unit_hours=with_column(hours, "net_sales", pc.add(hours["net_sales"], cent)),
    )
    assert failed(mall, truth) == {
        "net sales by hour",
        "average ticket by day",
        "net sales per m2 by day",
    }


def test_stays_three_seconds_shorter_than_they_were_fail_dwell_and_person_seconds(mall):
    visits = mall.truth.zone_visits
    longer = pc.add(visits["left_at_utc"], pa.scalar(3_000_000, pa.duration("us")))
    truth = replace(mall.truth, zone_visits=with_column(visits, "left_at_utc", longer))
    assert {"mean zone dwell by hour", "person-seconds by zone, hour"} <= failed(mall, truth)


def test_an_outage_that_the_marts_know_and_the_truth_does_not_fails_as_not_measured(mall):
    hours = mall.truth.unit_hours
    lit = with_column(hours, "camera_dark_s", pc.multiply(hours["camera_dark_s"], 0.0))
    lit = with_column(lit, "is_camera_dark", pa.array([False] * hours.num_rows))
    truth = replace(mall.truth, unit_hours=with_column(lit, "entries_seen", hours["entries"]))
    wrong = judged(mall, truth)
    assert wrong["entries by hour"].not_measured == 1
    assert wrong["entries by hour"].is_within is False
    assert wrong["camera completeness by hour"].worst_error == 1.0
