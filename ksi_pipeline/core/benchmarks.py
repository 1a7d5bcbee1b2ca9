"""Which totals of tenants may be shown to tenants: primary and complementary suppression.

Tenants of a site are compared with two peer groups: those of their category, and all of the site
(`_all`). What a reader gets are the totals of these groups, month by month. A total is published
only if nothing that follows from all totals published so far, seen from any tenant's seat, gives
away too much (core.disclosure). Months are decided in order, and a later month never takes back an
earlier one: what was shown cannot be unseen.

The tenants that a total adds up are its *cohort*. It is all that are comparable in the month; where
one has joined, and the difference to earlier totals would be its sales, the cohort of the last
published total is kept while all of it is still there.

Who shares a unit has a part of its figures, and from it and the shares those of the others follow.
So the operators of a shared unit count as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.disclosure import (
    Members,
    Protection,
    Sum,
    follows,
    is_exposed,
    why_unsafe,
)
from ksi_pipeline.core.schemas import BENCHMARK_SUPPRESSION, TENANT_MONTHS

ALL = "_all"
BENCHMARK_RULE_VERSION = 1

# What a total is of, and the amounts in which no tenant may dominate it.
_MEASURES = {"sales": ("net_sales",), "traffic": ("net_entry_count", "ticket_count")}

_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BenchmarkRules:
    """What may be shown.

    Attributes:
        protection: when one total is safe.
        memory_months: totals of this many months, the present one included, are audited together.
    """

    protection: Protection = field(default_factory=Protection)
    memory_months: int = 12


@dataclass(slots=True)
class _Group:
    """One peer group in one month."""

    name: str
    present: Sum
    cohort: Sum | None = None
    reason: str | None = None

    def follows_from(self, sums: Sequence[Sum], members: Members) -> bool:
        """Whether this group, which is hidden, follows from sums of its month.

        One that is hidden only for the sake of others may be pieced together by who knows its own
        part: it learns no more than the sums say.
        """
        return follows(self.present, sums, members, with_own=self.reason != "complementary")


def benchmark_suppression(tenant_months: pa.Table, rules: BenchmarkRules) -> pa.Table:
    """Decide which peer groups are shown, and who is in them.

    Args:
        tenant_months: schema TENANT_MONTHS, any order. Only rows whose amounts of a measure are
            all known are compared in it. Sales are compared with sales of the same site, currency
            and tax only.
        rules: thresholds.

    Returns:
        Schema BENCHMARK_SUPPRESSION, one row for each site, month, measure, peer group and tenant
        that is compared, ordered by these.
    """
    rows = sorted(tenant_months.select(TENANT_MONTHS.names).to_pylist(), key=_member)
    trees: dict[tuple[Any, ...], list[_Row]] = {}
    for measure, amounts in _MEASURES.items():
        for row in rows:
            if all(row[name] is not None for name in amounts):
                of_money = (row["currency"], row["tax_included"]) if measure == "sales" else ()
                trees.setdefault((measure, row["site_id"], *of_money), []).append(row)
    decided = [out for key, found in trees.items() for out in _decide(key[0], found, rules)]
    keys = ("site_id", "month_start", "measure", "peer_group", "unit_id", "tenant_id")
    decided.sort(key=lambda row: tuple(row[key] for key in keys))
    return pa.Table.from_pylist(decided, schema=BENCHMARK_SUPPRESSION)


def _decide(measure: str, rows: Sequence[_Row], rules: BenchmarkRules) -> list[dict[str, Any]]:
    """Decide the months of one measure whose totals are comparable, the oldest first."""
    number = {key: n for n, key in enumerate(sorted({_member(row) for row in rows}))}
    knows = _readers(rows)
    operator = np.zeros(len(number), dtype=np.int64)
    for row in rows:
        operator[number[_member(row)]] = knows[row["operator_id"]]
    members = Members(operator, np.zeros((len(number), len(_MEASURES[measure]))))
    by_month: dict[date, dict[int, _Row]] = {}
    for row in rows:
        by_month.setdefault(row["month_start"], {})[number[_member(row)]] = row
    history = _History(rules.memory_months)
    decided = []
    for month in sorted(by_month):
        tenants = by_month[month]
        for member, row in tenants.items():
            members.amounts[member] = [float(row[name]) for name in _MEASURES[measure]]
        groups = _groups(tenants, operator)
        _publish(groups, members, history.before(month), history.last, rules.protection)
        history.keep(month, groups)
        decided += [
            _row(measure, group, row, member in (group.cohort or ()), rules)
            for group in groups
            for member, row in tenants.items()
            if member in group.present
        ]
    return decided


def _readers(rows: Sequence[_Row]) -> dict[str, int]:
    """Number the operators by who knows the same; those who ever shared a unit have one number."""
    knows = {name: n for n, name in enumerate(sorted({row["operator_id"] for row in rows}))}
    first_of: dict[tuple[Any, ...], str] = {}
    for row in rows:
        if row["is_unit_shared"]:
            unit = row["site_id"], row["unit_id"], row["month_start"]
            kept = knows[first_of.setdefault(unit, row["operator_id"])]
            gone = knows[row["operator_id"]]
            knows = {name: kept if n == gone else n for name, n in knows.items()}
    return knows


@dataclass(slots=True)
class _History:
    """What was published in the months that a reader may still compare with."""

    memory_months: int
    months: dict[int, set[Sum]] = field(default_factory=dict)
    last: dict[str, Sum] = field(default_factory=dict)

    def before(self, month: date) -> set[Sum]:
        first = _ordinal(month) - self.memory_months
        return {one for at, sums in self.months.items() if at > first for one in sums}

    def keep(self, month: date, groups: Sequence[_Group]) -> None:
        shown = {group.name: group.cohort for group in groups if group.cohort}
        self.months[_ordinal(month)] = set(shown.values())
        self.last.update(shown)


def _groups(tenants: Mapping[int, _Row], operator: np.ndarray[Any, Any]) -> list[_Group]:
    """Give a month's peer groups: categories, those of most operators first, then the site."""
    of: dict[str, set[int]] = {}
    for member, row in tenants.items():
        if row["category"] not in (None, ALL):
            of.setdefault(row["category"], set()).add(member)
    groups = [_Group(name, frozenset(found)) for name, found in of.items()]
    groups.sort(key=lambda g: (-len({int(operator[m]) for m in g.present}), g.name))
    return [*groups, _Group(ALL, frozenset(tenants))]


def _publish(
    groups: Sequence[_Group],
    members: Members,
    before: set[Sum],
    last: Mapping[str, Sum],
    protection: Protection,
) -> None:
    """Choose the cohort of each group of a month, or the reason why it has none."""
    for group in groups:
        shown = [other.cohort for other in groups if other.cohort]
        hidden = [other for other in groups if other.reason]
        kept = last.get(group.name, frozenset())
        for cohort in (group.present, kept if kept <= group.present else frozenset()):
            reason = why_unsafe(members.row(cohort), members, protection)
            if reason is None and _gives_away(cohort, shown, hidden, before, members, protection):
                reason = "complementary"
            if reason is None:
                group.cohort, group.reason = cohort, None
                break
            group.reason = group.reason or reason


def _gives_away(
    cohort: Sum,
    shown: Sequence[Sum],
    hidden: Sequence[_Group],
    before: set[Sum],
    members: Members,
    protection: Protection,
) -> bool:
    """Whether one more total tells of a hidden one, or of too few tenants."""
    of_month = [*shown, cohort]
    if any(group.follows_from(of_month, members) for group in hidden):
        return True
    if is_exposed(of_month, members, protection):
        return True
    # A sum over tenants that was shown before tells no more about who they are.
    return cohort not in before and is_exposed({*before, *of_month}, members, protection)


def _row(
    measure: str, group: _Group, row: _Row, is_in_cohort: bool, rules: BenchmarkRules
) -> dict[str, Any]:
    of_row = ("site_id", "month_start", "unit_id", "tenant_id", "operator_id")
    return {
        **{name: row[name] for name in of_row},
        "measure": measure,
        "peer_group": group.name,
        "is_in_cohort": is_in_cohort,
        "is_suppressed": group.cohort is None,
        "reason": None if group.cohort else group.reason,
        "min_operators": rules.protection.min_operators,
        "rule_version": BENCHMARK_RULE_VERSION,
    }


def _member(row: _Row) -> tuple[str, str, str]:
    return row["site_id"], row["unit_id"], row["tenant_id"]


def _ordinal(month: date) -> int:
    return month.year * 12 + month.month
