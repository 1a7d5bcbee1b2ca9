"""Tenant-months for tests of benchmarks, and the golden mall."""

from datetime import date
from decimal import Decimal

import pyarrow as pa

from ksi_pipeline.core.schemas import TENANT_MONTHS

JANUARY = date(2026, 1, 1)

FASHION = {
    "T1": (1000, 200, 10_000),
    "T2": (1500, 225, 15_750),
    "T3": (600, 150, 9_000),
    "T4": (500, 50, 2_500),
    "T5": (400, 120, 7_200),
}
FOOD = {"T6": (3000, 2000, 24_000), "T7": (900, 700, 7_000)}


def month(n):
    """The n-th month from January 2026 on, from 0."""
    return date(2026 + n // 12, n % 12 + 1, 1)


def tenant(tenant_id, category, net_sales, entries=100, tickets=20, operator=None, **more):
    return {
        "site_id": "mall",
        "month_start": JANUARY,
        "unit_id": f"u-{tenant_id}",
        "tenant_id": tenant_id,
        "operator_id": operator or f"op-{tenant_id}",
        "category": category,
        "is_unit_shared": False,
        "currency": "EUR",
        "tax_included": False,
        "net_sales": None if net_sales is None else Decimal(net_sales),
        "net_entry_count": entries,
        "ticket_count": tickets,
        **more,
    }


def golden():
    return [
        tenant(name, category, sales, entries, tickets)
        for category, tenants in (("fashion", FASHION), ("food court", FOOD))
        for name, (entries, tickets, sales) in tenants.items()
    ]


def table(rows):
    return pa.Table.from_pylist(rows, schema=TENANT_MONTHS)
