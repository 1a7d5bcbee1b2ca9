"""Which foot points a picture shows."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.report.foot_points import MOST_DRAWN, points_of_file, points_of_lake
from ksi_pipeline.space.load import Space, load_space
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Change, Store

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
"""
EVENING = datetime(2026, 3, 1, 22, 59, tzinfo=UTC)  # 23:59 in Madrid


@pytest.fixture
def space(tmp_path: Path) -> Space:
    path = tmp_path / "shop.yaml"
    path.write_text(SPACE)
    return load_space(path)


def table(*samples, site="shop"):
    """Samples are (instant, x in metres or None)."""
    rows = [
        {
            "site_id": site,
            "camera_id": "cam-1",
            "tracklet_id": "a",
            "ts_utc": ts,
            "x_m": x,
            "y_m": x,
            "confidence": 1.0,
            "is_observed": True,
        }
        for ts, x in samples
    ]
    return pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"])


def written(tmp_path, *samples, **names):
    path = tmp_path / "points.parquet"
    pq.write_table(table(*samples, **names), path)
    return path


def test_without_a_day_the_last_local_day_is_shown(space, tmp_path):
    path = written(tmp_path, (EVENING, 1.0), (EVENING + timedelta(minutes=1), 2.0))
    found = points_of_file(path, space, None)
    assert (found.day, found.xy_m.tolist()) == (date(2026, 3, 2), [[2.0, 2.0]])


def test_a_day_ends_at_the_sites_midnight(space, tmp_path):
    path = written(tmp_path, (EVENING, 1.0), (EVENING + timedelta(minutes=1), 2.0))
    found = points_of_file(path, space, date(2026, 3, 1))
    assert found.xy_m.tolist() == [[1.0, 1.0]]


def test_samples_without_metres_are_no_points(space, tmp_path):
    path = written(tmp_path, (EVENING, 1.0), (EVENING + timedelta(seconds=1), None))
    found = points_of_file(path, space, None)
    assert (found.sample_count, len(found.xy_m)) == (1, 1)


def test_a_file_without_points_has_no_day(space, tmp_path):
    assert points_of_file(written(tmp_path), space, None) is None


def test_a_busy_day_is_thinned_evenly_and_its_samples_are_counted(space, tmp_path):
    start = datetime(2026, 3, 1, 9, tzinfo=UTC)
    count = 2 * MOST_DRAWN + 1
    samples = [(start + timedelta(milliseconds=200 * i), float(i)) for i in range(count)]
    found = points_of_file(written(tmp_path, *samples), space, None)
    assert found.sample_count == count
    assert len(found.xy_m) <= MOST_DRAWN
    assert found.xy_m[:3, 0].tolist() == [0.0, 3.0, 6.0]


def test_points_of_another_site_are_refused(space, tmp_path):
    path = written(tmp_path, (EVENING, 1.0), site="mall")
    with pytest.raises(ContractError, match="site 'mall'") as caught:
        points_of_file(path, space, None)
    assert caught.value.code == "E_UNKNOWN_SITE"


def test_the_lake_gives_the_points_of_the_site_that_count(space, tmp_path):
    store = Store(DataHome(tmp_path / "home"))
    change = Change(cause="test")
    later = EVENING + timedelta(hours=9)
    for source, site, samples in (
        ("chunk:shop/cam-1/a", "shop", [(EVENING, 1.0), (EVENING + timedelta(minutes=2), 2.0)]),
        ("delivery:shop/cam-1/b", "shop", [(later, 3.0)]),
        ("chunk:shop-2/cam-1/c", "shop-2", [(later + timedelta(days=3), 4.0)]),
    ):
        day = samples[0][0].date().isoformat()
        points = table(*samples, site=site)
        store.replace(change, "tracklet_points", points, source=source, partition=day)
    store.commit(change)
    found = points_of_lake(store, space, None)
    assert (found.day, found.xy_m[:, 0].tolist()) == (date(2026, 3, 2), [2.0, 3.0])
    assert points_of_lake(store, space, date(2026, 3, 1)).xy_m[:, 0].tolist() == [1.0]


def test_an_empty_lake_has_no_day(space, tmp_path):
    assert points_of_lake(Store(DataHome(tmp_path / "home")), space, None) is None
