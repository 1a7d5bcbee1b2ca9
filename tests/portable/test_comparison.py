"""The comparison of marts tells every difference, however little."""

from decimal import Decimal

import pytest

from .marts import assert_equal

COLUMNS = ["name", "amount", "ratio", "count"]
ROWS = [("a", Decimal("1.0000"), 0.1, 1), ("b", None, 0.2, 2)]


def test_rows_in_another_order_are_equal():
    assert_equal({"mart": (COLUMNS, ROWS)}, {"mart": (COLUMNS, ROWS[::-1])})


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        pytest.param(COLUMNS, [("a", Decimal("1.0001"), 0.1, 1), ROWS[1]], id="money"),
        pytest.param(COLUMNS, [("a", Decimal("1.00"), 0.1, 1), ROWS[1]], id="scale"),
        pytest.param(COLUMNS, [("a", Decimal("1.0000"), 0.1 + 2e-17, 1), ROWS[1]], id="last bit"),
        pytest.param(COLUMNS, [("a", Decimal("1.0000"), 0.1, 1.0), ROWS[1]], id="type"),
        pytest.param(COLUMNS, [ROWS[0], ("b", Decimal("0.0000"), 0.2, 2)], id="zero for null"),
        pytest.param(COLUMNS, ROWS[:1], id="a row less"),
        pytest.param(COLUMNS, [*ROWS, ROWS[0]], id="a row more"),
        pytest.param(["name", "amount", "count", "ratio"], ROWS, id="order of columns"),
    ],
)
def test_a_difference_is_told(columns, rows):
    with pytest.raises(AssertionError):
        assert_equal({"mart": (COLUMNS, ROWS)}, {"mart": (columns, rows)})


def test_a_mart_that_is_missing_is_told():
    with pytest.raises(AssertionError):
        assert_equal({"mart": (COLUMNS, ROWS)}, {})
