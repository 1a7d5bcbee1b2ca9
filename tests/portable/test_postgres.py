"""The marts on PostgreSQL are those on DuckDB: built whole, and where only a change is rebuilt."""

import re

import pytest

from ..dbt.cases import changed, sao_paulo
from ..dbt.small_site import make_lake
from .engines import BUILD, dbt_on, environment, load_postgres
from .lake import portable_lake
from .marts import assert_equal, marts_of_duckdb, marts_of_postgres

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def builds(tmp_path_factory, dbt, built, request):
    """The marts of both engines after a full build, and after a change."""
    environment("postgres")
    postgres = request.getfixturevalue("postgres")
    folder = tmp_path_factory.mktemp("postgres")
    database = postgres.new_database("marts")
    with postgres.connection() as connection:
        # an instant of the lake is naive UTC, so nothing hangs on where the server stands
        connection.execute(f"alter database {database} set timezone = 'America/Sao_Paulo'")
    server = {
        "KSI_POSTGRES_HOST": "127.0.0.1",
        "KSI_POSTGRES_PORT": str(postgres.port),
        "KSI_POSTGRES_USER": "admin",
        "KSI_POSTGRES_DATABASE": database,
        "DBT_ENV_SECRET_POSTGRES_PASSWORD": postgres.password,
    }
    site, touched = changed(sao_paulo())
    lakes = {
        "full": portable_lake(sao_paulo()),
        "after": {**portable_lake(site), "affected_hours": touched},
    }
    here = folder / "build.duckdb"
    here.write_bytes(built.read_bytes())
    found = {}
    with postgres.connection(database) as connection:
        for name, lake in lakes.items():
            load_postgres(connection, lake)
            if name == "after":
                make_lake(here, lake)
                dbt(here, "run")
            # data tests once: they take longer than the marts
            said = dbt_on("postgres", folder, *(BUILD if name == "full" else ("run",)), **server)
            marts = marts_of_duckdb(here)
            found[name] = (marts, marts_of_postgres(connection, marts), said)
    return found


def test_a_full_build_has_the_same_marts_value_for_value(builds):
    here, there, _ = builds["full"]
    assert [name for name, (_, rows) in here.items() if not rows] == []
    assert_equal(here, there)


def test_a_rebuild_of_what_changed_has_the_same_marts_value_for_value(builds):
    here, there, said = builds["after"]
    assert builds["full"][1] != there, "nothing changed, so nothing was tested"
    rows = len(here["fct_traffic_hourly"][1])
    (line,) = re.findall(r".* OK created sql incremental model marts.fct_traffic_hourly .*", said)
    assert int(re.findall(r"INSERT 0 (\d+)", line)[0]) < rows / 2, "the mart was built whole"
    assert_equal(here, there)
