"""The lake that engines are compared on: cases of marts, months, and where engines may differ."""

from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa

from ksi_pipeline.core.schemas import DATASETS

from ..dbt.cases import kathmandu, lake_of, madrid
from ..dbt.test_benchmarks import HOUR, add_tenant
from ..dbt.test_density import house_with_vacancies

MICROSECOND = timedelta(microseconds=1)


def portable_lake(sao_paulo):
    """The lake of Sao Paulo, as it is or as it changed, and of all others."""
    lake = lake_of(sao_paulo, madrid(), kathmandu(), roundings())
    lake["campaign_effect"] = [campaign()]
    return lake


def roundings():
    """Vacancies of February 2026, and units of which an amount lies at the edge of rounding."""
    site = house_with_vacancies()
    lake = site.lake
    # half a square centimetre more than an even number of them
    add_tenant(site, "half-cm2", "suites", 100.00005, 10, 5, 84_000)
    # parts of a ten-thousandth: just below a half of it, and just above
    add_tenant(site, "parts", "suites", 120, 11, 5, 84_000)
    lake["ticket_hours"][-1]["net_sales"] = Decimal("0.0001")
    alone = lake["space_tenancy"].pop()
    for tenant_id, share in (("part-a", 0.499999), ("part-b", 0.500001)):
        parts = {"tenant_id": tenant_id, "operator_id": tenant_id, "share": share}
        lake["space_tenancy"].append({**alone, **parts})
    # nearly as much money as a column takes, in a unit whose name sorts by bytes
    add_tenant(site, "Zürich-ß", "suites", 120, 10, 5, 0)
    lake["ticket_hours"][-1]["net_sales"] = Decimal("70000000000000.0001")
    # a camera that saw half of an odd number of microseconds, and days in thirds
    add_tenant(site, "seen", "suites", 70, 7, 3, 84_001)
    seen = [row for row in lake["coverage"] if row["source_id"] == "cam-seen"]
    for n, row in enumerate(seen):
        row["observed_s"] = row["expected_s"] / 2 if n else row["expected_s"] / 3
    (day,) = [row for row in seen if row["from_utc"] <= site.at(HOUR) < row["to_utc"]]
    day["to_utc"] = site.at(HOUR) + 3 * MICROSECOND
    # who enters in the last microsecond of an hour pays in the next
    lake["line_crossings"][-1]["at_utc"] += timedelta(minutes=60) - MICROSECOND
    return site


def campaign():
    """One row with every number at the end of its type's digits."""
    values = {
        pa.string(): "a 'campaign' of \\ 100 %",
        pa.int64(): 2**53 + 1,
        pa.float64(): 0.1 + 0.2,
        pa.bool_(): True,
        pa.date32(): date(2026, 2, 28),
        pa.decimal128(18, 4): Decimal("-99999999999999.9999"),
        pa.timestamp("us", "UTC"): None,
    }
    row = {f.name: values[f.type] for f in DATASETS["campaign_effect"]}
    return {**row, "verdict": "shown", "basis": "measured"}
