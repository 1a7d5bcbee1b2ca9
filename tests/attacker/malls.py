"""Simulated malls: tenants that join, leave and belong to chains; and what is published of them."""

import random
from decimal import Decimal

import pyarrow as pa

from ksi_pipeline.core.benchmarks import BenchmarkRules, benchmark_suppression
from ksi_pipeline.core.disclosure import Protection
from ksi_pipeline.core.schemas import TENANT_MONTHS

from ..core.tenants import month, tenant
from .adversary import Mall, Total

MONTHS = 8


def simulated(seed):
    """A mall of 25 to 55 tenants at first, over eight months.

    In every other one nothing but the tenants changes; the others have a category of one tenant.
    """
    dice = random.Random(seed)
    steady = seed % 2 == 0
    categories = ["fashion", "food", "home", "toys", "services"][: dice.randint(3, 5)]
    operator, category, sells, sales = {}, {}, {}, {}
    here = set()

    def arrive():
        name = f"t{len(operator):03}"
        operator[name] = f"chain-{dice.randint(0, 4)}" if dice.random() < 0.2 else f"op-{name}"
        category[name] = dice.choices(categories, weights=range(6, 6 - len(categories), -1))[0]
        sells[name] = round(dice.lognormvariate(9, 0.8))
        here.add(name)

    for _ in range(dice.randint(25, 55)):
        arrive()
    if not steady:
        arrive()
        category[max(here)] = "bank"
    for n in range(MONTHS):
        if n:
            for name in sorted(here):
                if dice.random() < 0.02:
                    here.remove(name)
            for _ in range(dice.choice([0, 0, 1, 1, 2])):
                arrive()
        noise = {name: 1.0 if steady else dice.uniform(0.8, 1.2) for name in sorted(here)}
        sales[month(n)] = {name: float(round(sells[name] * noise[name])) for name in sorted(here)}
    return Mall(sales, operator, category)


def golden_mall(tenant_rows):
    """A mall as adversaries know it, from rows of tests/core/tenants.py."""
    sales = {}
    for row in tenant_rows:
        sales.setdefault(row["month_start"], {})[row["tenant_id"]] = float(row["net_sales"])
    return Mall(
        sales,
        {row["tenant_id"]: row["operator_id"] for row in tenant_rows},
        {row["tenant_id"]: row["category"] for row in tenant_rows},
    )


def published(mall, k=5, memory_months=12):
    """The totals that the product publishes."""
    rows = [
        tenant(
            name,
            mall.category[name],
            Decimal(amount),
            None,
            None,
            mall.operator[name],
            month_start=at,
        )
        for at, sales in mall.sales.items()
        for name, amount in sales.items()
    ]
    months = pa.Table.from_pylist(rows, schema=TENANT_MONTHS)
    rules = BenchmarkRules(Protection(min_operators=k), memory_months)
    cohorts = {}
    for row in benchmark_suppression(months, rules).to_pylist():
        if row["is_in_cohort"]:
            key = row["month_start"], row["peer_group"]
            cohorts.setdefault(key, set()).add(row["tenant_id"])
    return [_total(mall, *key, frozenset(members)) for key, members in cohorts.items()]


def unsuppressed(mall):
    """Every total there is."""
    return [
        _total(mall, at, group, members)
        for at in mall.sales
        for group, members in mall.groups(at).items()
    ]


def primary_only(mall, k=5):
    """Every total that has enough operators and none too large, whatever it tells of others."""
    return [total for total in unsuppressed(mall) if _is_large_enough(mall, total, k)]


def _is_large_enough(mall, total, k):
    by_operator = {}
    for member in total.members:
        name = mall.operator[member]
        by_operator[name] = by_operator.get(name, 0) + mall.sales[total.month][member]
    first, second = sorted([0, 0, *by_operator.values()])[:-3:-1]
    whole = sum(by_operator.values())
    return len(by_operator) > k and first <= 0.75 * whole and whole - first - second >= 0.1 * first


def _total(mall, at, group, members):
    return Total(at, group, members, sum(mall.sales[at][member] for member in members))
