"""Nothing that is published tells a reader what one tenant sold; what is withheld would."""

import random

import pytest

from ..core.tenants import golden, month
from .adversary import Mall, finds
from .malls import golden_mall, primary_only, published, simulated, unsuppressed

SEEDS = range(8)


@pytest.fixture(scope="module", params=SEEDS)
def mall(request):
    return simulated(request.param)


def seats(mall):
    """Nobody, chains and the largest, who know most, and a few who joined or left."""
    first, last = (list(mall.sales.values())[n] for n in (0, -1))
    movers = sorted(first.keys() ^ last.keys())
    size = {}
    for name, amount in last.items():
        size[mall.operator[name]] = size.get(mall.operator[name], 0) + amount
    largest = sorted(size, key=size.get)[-2:]
    chains = sorted({o for o in mall.operator.values() if o.startswith("chain")})[:1]
    some = random.Random(1).sample(movers, min(2, len(movers)))
    return [None, *largest, *chains, *(mall.operator[name] for name in some)]


def everything(mall, totals):
    for seat in dict.fromkeys(seats(mall)):
        yield from finds(mall, totals, seat)


def test_nobody_learns_what_is_hidden_from_what_is_published(mall):
    totals = published(mall)
    assert totals, "a mall of which nothing is published shows nothing"
    assert list(everything(mall, totals)) == []


def test_the_table_without_suppression_tells(mall):
    assert any(everything(mall, unsuppressed(mall)))


def test_hiding_small_totals_alone_still_tells(mall):
    assert any(everything(mall, primary_only(mall)))


def test_golden_food_court_follows_from_the_total_unless_that_is_hidden_too():
    mall = golden_mall(golden())
    told = list(everything(mall, primary_only(mall, k=4)))
    assert f"None: the total of food court in {month(0)}" in told
    assert f"op-T6: op-T7 sold 7000 to 7000 in {month(0)}: 7000" in told
    assert list(everything(mall, published(mall, k=4))) == []
    assert {total.group for total in published(mall, k=4)} == {"fashion"}


def test_readers_who_remember_longer_than_assumed_tell_who_left():
    names = [f"t{n}" for n in range(8)]
    sales = {month(n): dict.fromkeys(names[: 8 - (n > 0)], 1000.0) for n in range(4)}
    mall = Mall(sales, {n: n for n in names}, dict.fromkeys(names, "fashion"))
    assert not finds(mall, published(mall, memory_months=12), None)
    assert any("t7" in found for found in finds(mall, published(mall, memory_months=2), None))


def test_most_months_of_a_mall_without_changes_are_published():
    shares = []
    for seed in SEEDS:
        mall = simulated(seed)
        quiet = Mall({month(0): mall.sales[month(0)]}, mall.operator, mall.category)
        shares.append(len(published(quiet)) / len(unsuppressed(quiet)))
    assert sum(shares) / len(shares) > 0.5
