"""What read-the-results.md computes by zone, floor and tenant, on rows whose answer is known."""

from pathlib import Path

import duckdb
import pytest

from ksi_pipeline.store import store

from .pages import REPO

PAGE = REPO / "docs" / "how-to" / "read-the-results.md"
POOLED = "create macro pooled("
TABLES = """
create table dim_zone as select * from (values
    ('a', '1', 'shelf', 10.0), ('b', '1', 'shelf', 5.0)
) as t (site_id, unit_id, zone_id, area_m2);
create table fct_zone_sales_hourly as select * from (values
    ('a', '1', 'shelf', 10.0, 40.0, 2, 8, 'measured', 'measured'),
    -- drawn smaller then
    ('a', '1', 'shelf', 4.0, 90.0, 9, 9, 'measured', 'measured'),
    -- the camera saw a part of the hour
    ('a', '1', 'shelf', 10.0, 20.0, 4, 1, 'measured', 'partial'),
    ('b', '1', 'shelf', 5.0, 50.0, 1, 2, 'measured', 'measured'),
    ('a', '1', '_unmapped', null, 70.0, 7, null, 'measured', null)
) as t (
    site_id, unit_id, zone_id, zone_area_m2, net_sales, ticket_count, visit_count, basis,
    visit_basis
);
alter table fct_zone_sales_hourly add column unit_key varchar;
update fct_zone_sales_hourly set unit_key = site_id || '/' || unit_id;
create table dim_unit as select * from (values
    ('a/1', '0', 'books'), ('a/2', '0', 'shoes'), ('b/1', '0', 'shoes')
) as t (unit_key, floor, category);
create table fct_sales_density_daily as select * from (values
    ('a', 'a/1', 1, 'T1', 'shoes', 10.0, 300.0, 'measured', true),
    ('a', 'a/1', 2, 'T1', 'shoes', 10.0, null, 'missing', true),
    ('a', 'a/1', 3, 'T1', 'shoes', 10.0, 10.0, 'partial', true),
    ('a', 'a/2', 1, null, null, 30.0, 100.0, 'measured', true),
    ('a', 'a/2', 2, null, null, 30.0, 900.0, 'missing', false),
    ('b', 'b/1', 1, 'T1', 'shoes', 5.0, 50.0, 'measured', true)
) as t (
    site_id, unit_key, business_date, tenant_id, category, gla_m2, net_sales, basis,
    is_in_tenant_rate
);
create table fct_category_sales_hourly as select * from (values
    ('a', 'a/1', 1, 'boots', 200.0, 'measured'), ('a', 'a/1', 1, 'boots', 100.0, 'measured'),
    ('a', 'a/1', 3, 'boots', 10.0, 'partial'), ('a', 'a/2', 1, 'boots', 100.0, 'measured'),
    ('b', 'b/1', 1, 'boots', 50.0, 'measured')
) as t (site_id, unit_key, business_date, category, net_sales, basis);
"""


@pytest.fixture
def asked():
    """Runs the only example of the page that has some words in it; gives its rows."""
    views = Path(store.__file__).with_name("analyst_views.sql").read_text()
    macro = views[views.index(POOLED) :].partition(";")[0]
    queries = [text.split('""")')[0] for text in PAGE.read_text().split('con.sql("""')[1:]]
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        connection.execute(macro)

        def ask(words):
            (query,) = (text for text in queries if words in text)
            return connection.execute(query).fetchall()

        yield ask


def test_a_zone_has_the_sales_of_its_present_area_and_the_visits_that_were_all_seen(asked):
    assert asked("any_value(z.area_m2)") == [
        ("a/1", "shelf", 10, 6, 0.25),
        ("b/1", "shelf", 5, 10, 0.5),
    ]


def test_the_area_of_a_day_without_a_ticket_divides_the_sales_of_its_floor(asked):
    assert asked("net_sales_per_m2_and_day") == [
        ("a", "floor", "0", 400 / 50),
        ("a", "line of trade", "shoes", 300 / 20),
        ("a", "line of trade", None, 100 / 30),
        ("b", "floor", "0", 10),
        ("b", "line of trade", "shoes", 10),
    ]


def test_what_a_shared_unit_sells_is_in_the_matrix_beside_the_tenants(asked):
    # T1, then several or none
    assert asked("pivot (") == [("a", "boots", 300, 100), ("b", "boots", 50, None)]
