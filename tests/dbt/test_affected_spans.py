"""An incremental run reads the coverage around what changed, and no more."""

import pytest

from ksi_pipeline.core.time import OpeningHours

from .small_site import SmallSite, make_lake, rows_of

pytestmark = pytest.mark.slow

MODELS = ("int_camera_hours", "int_link_span_coverage")
DAYS = ("2026-01-05", "2026-03-05")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory, dbt):
    """A build in which one hour of the first day was affected, and what dbt ran for each model."""
    path = tmp_path_factory.mktemp("spans") / "build.duckdb"
    site = SmallSite("m", "Europe/Madrid", OpeningHours())
    site.unit("u")
    site.sees("cam", "line", "door")
    for day in DAYS:
        site.calendar(f"{day} 08:00", f"{day} 12:00")
        site.asked("u", f"{day} 08:00", f"{day} 12:00", f"{day} 13:00")
        site.chunks("cam", f"{day} 08:00", f"{day} 12:00", 60)
    make_lake(path, site.lake)
    select = [word for model in MODELS for word in ("--select", f"+{model}")]
    dbt(path, "run", *select)
    make_lake(path, {**site.lake, "affected_hours": site.affected("u", f"{DAYS[0]} 09:00")})
    nodes = [each.node for each in dbt(path, "run", *select).result]
    return path, {node.name: node.compiled_code for node in nodes}


@pytest.mark.parametrize("model", MODELS)
def test_an_incremental_run_reads_the_coverage_near_what_changed(compiled, model):
    path, code = compiled
    spans = code[model].replace("select * from final", "select distinct day_utc from coverage")
    assert [str(row["day_utc"]) for row in rows_of(path, spans)] == [DAYS[0]]
    built = rows_of(
        path, f"select distinct cast(hour_start_utc as date) d from intermediate.{model}"
    )
    assert sorted(str(row["d"]) for row in built) == list(DAYS)
