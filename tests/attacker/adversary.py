"""Somebody who wants to know what one tenant sold, and has read every total that was published.

It knows who was in which total, and all amounts of one operator (or of none). It shares no code
with what it attacks: it works on single tenants with a rank test and a linear program.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

TOLERANCE = 1e-7


@dataclass(frozen=True)
class Total:
    """One published total: of which month, of whom, how much."""

    month: object
    group: str
    members: frozenset
    amount: float


@dataclass(frozen=True)
class Mall:
    """The truth: sales of each tenant (member) by month, and whose tenants they are."""

    sales: dict  # month -> member -> amount
    operator: dict  # member -> operator
    category: dict  # member -> category

    def groups(self, month):
        """Who is in each group of a month."""
        found = {"_all": frozenset(self.sales[month])}
        for member in self.sales[month]:
            of = self.category[member]
            found[of] = found.get(of, frozenset()) | {member}
        return found


def finds(mall, totals, seat, share=0.10):
    """Everything that an operator can find out about others, as sentences; empty is good."""
    return [
        *_hidden_totals(mall, totals, seat),
        *_bounded_operators(mall, totals, seat, share),
        *_steady_operators(mall, totals, seat, share),
    ]


def _hidden_totals(mall, totals, seat):
    """Totals that were withheld from this reader and follow from others of the same month."""
    for month in mall.sales:
        of_month = [total for total in totals if total.month == month]
        shown = {total.group for total in of_month}
        others = [m for m in mall.sales[month] if mall.operator[m] != seat]
        rows = _rows(of_month, others)
        for group, members in mall.groups(month).items():
            unknown = members & set(others)
            if group in shown or (seat and unknown != members):
                continue
            if unknown and _is_in_span(rows, _row(unknown, others)):
                yield f"{seat}: the total of {group} in {month}"


def _bounded_operators(mall, totals, seat, share):
    """What no operator could have sold more, or less, within a share of what it did sell."""
    for month, sales in mall.sales.items():
        of_month = [total for total in totals if total.month == month]
        if not of_month:
            continue
        others = [m for m in sales if mall.operator[m] != seat]
        rows = _rows(of_month, others)
        own = [sum(sales[m] for m in t.members if mall.operator[m] == seat) for t in of_month]
        rest = np.array([t.amount for t in of_month]) - own
        for operator in _worth_a_try(mall, month, of_month, others):
            target = _row({m for m in others if mall.operator[m] == operator}, others)
            amount = sum(sales[m] for m in others if mall.operator[m] == operator)
            low, high = _range(target, rows, rest)
            if high <= amount * (1 + share) or low >= amount * (1 - share):
                yield f"{seat}: {operator} sold {low:.0f} to {high:.0f} in {month}: {amount:.0f}"


def _steady_operators(mall, totals, seat, share):
    """What follows from all months if nothing but the tenants had changed between them."""
    everyone = sorted({m for sales in mall.sales.values() for m in sales})
    others = [m for m in everyone if mall.operator[m] != seat]
    rows = _rows(totals, others)
    rest = [
        t.amount - sum(mall.sales[t.month][m] for m in t.members if mall.operator[m] == seat)
        for t in totals
    ]
    if not totals:
        return
    guess = np.linalg.lstsq(rows, np.array(rest), rcond=None)[0]
    for operator in sorted({mall.operator[m] for m in others}):
        for members in _parts(mall, others, operator):
            if not _is_in_span(rows, _row(members, others)):
                continue
            guessed = float(_row(members, others) @ guess)
            for month, sales in mall.sales.items():
                amount = sum(sales.get(m, 0.0) for m in members)
                if members <= sales.keys() and abs(guessed - amount) <= share * amount:
                    yield f"{seat}: {operator} sells {guessed:.0f}, e.g. {amount:.0f} in {month}"
                    break


def _parts(mall, others, operator):
    of_operator = frozenset(m for m in others if mall.operator[m] == operator)
    return {of_operator, *(frozenset([m]) for m in of_operator)}


def _worth_a_try(mall, month, of_month, others):
    """The two largest operators of each total and of each difference of two; others are safer."""
    wanted = [t.members for t in of_month]
    wanted += [a.members - b.members for a in of_month for b in of_month]
    found = set()
    for members in wanted:
        by_operator = {}
        for member in members & set(others):
            name = mall.operator[member]
            by_operator[name] = by_operator.get(name, 0.0) + mall.sales[month][member]
        found |= set(sorted(by_operator, key=by_operator.get)[-2:])
    return sorted(found)


def _range(target, rows, rest):
    """The least and the most that is possible, as nobody sells less than nothing."""
    solved = [
        linprog(sign * target, A_eq=rows, b_eq=rest, bounds=(0, None), method="highs")
        for sign in (1, -1)
    ]
    # A target in no total is not bounded.
    return solved[0].fun or 0.0, -solved[1].fun if solved[1].fun is not None else np.inf


def _row(members, others):
    return np.array([1.0 if member in members else 0.0 for member in others])


def _rows(totals, others):
    return np.array([_row(total.members, others) for total in totals]).reshape(-1, len(others))


def _is_in_span(rows, target):
    if not rows.size:
        return False
    solution = np.linalg.lstsq(rows.T, target, rcond=None)[0]
    return bool(np.abs(rows.T @ solution - target).max() < TOLERANCE)
