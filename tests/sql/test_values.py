"""Values of drivers become Arrow columns that keep their type, or text that says all of them."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest

from ksi_pipeline.connectors.sql.values import INSTANT, WALL_TIME, to_array, unified
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.store.landed import LandedParquet, rows_hash

NOON = datetime(2026, 3, 27, 12)
EAST = timezone(timedelta(hours=5, minutes=45))


def read(*values):
    array = to_array("x", values)
    return str(array.type), array.to_pylist()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((Decimal("0.10"), Decimal("12.3"), None), "decimal128(38, 2)"),
        ((Decimal("1E+3"), 2), "decimal128(38, 0)"),
        ((1, None), "int64"),
        (("0001", "1"), "string"),
        ((True, False), "bool"),
        ((1.5,), "double"),
        ((date(2026, 3, 27),), "date32[day]"),
        ((None, None), "null"),
    ],
)
def test_values_of_one_type_keep_it_and_their_value(values, kind):
    assert read(*values) == (kind, list(values))


def test_instants_become_utc_and_wall_clock_times_get_no_zone():
    assert read(NOON.replace(tzinfo=EAST)) == (
        str(INSTANT),
        [datetime(2026, 3, 27, 6, 15, tzinfo=UTC)],
    )
    assert read(NOON) == (str(WALL_TIME), [NOON])


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((1, "0001"), ["1", "0001"]),
        ((Decimal("NaN"), Decimal("1.50")), ["NaN", "1.50"]),
        ((NOON, "infinity"), ["2026-03-27T12:00:00", "infinity"]),
        ((NOON, NOON.replace(tzinfo=EAST)), ["2026-03-27T12:00:00", "2026-03-27T06:15:00+00:00"]),
        ((10**40, 1), [str(10**40), "1"]),
        ((Decimal(10) ** 30, Decimal("1e-20")), ["1" + "0" * 30, "0." + "0" * 19 + "1"]),
        ((UUID(int=1), None), ["00000000-0000-0000-0000-000000000001", None]),
        (({"a": [1]}, [None]), ['{"a": [1]}', "[null]"]),
        ((b"\x00\xff", memoryview(b"a")), ["00ff", "61"]),
        ((time(9, 30), timedelta(hours=1)), ["09:30:00", "1:00:00"]),
    ],
)
def test_what_fits_no_one_type_is_text_and_nothing_is_rounded(values, texts):
    assert read(*values) == ("string", texts)


def test_a_type_that_no_ticket_has_is_named():
    with pytest.raises(ContractError, match="Column 'x' holds values of type object") as refused:
        read(object())
    assert refused.value.code == "E_SQL_TYPE"


def landed(folder, *batches):
    folder.mkdir()
    file = LandedParquet(folder / "rows.parquet", unified)
    for values in batches:
        file.add(pa.table({"x": to_array("x", values)}))
    file.close()
    return file.path


@pytest.mark.parametrize(
    ("batches", "kind"),
    [
        (([None], [1], [None]), "int64"),
        (([1], [Decimal("0.5")], [Decimal("0.25")]), "decimal128(38, 2)"),
        (([Decimal("0.5")], [Decimal("NaN")]), "string"),
        (([NOON], ["infinity"], [NOON]), "string"),
    ],
)
def test_a_file_whose_later_rows_are_wider_has_all_rows_in_one_type(tmp_path, batches, kind):
    import pyarrow.parquet as pq

    table = pq.read_table(landed(tmp_path / "a", *batches))
    assert str(table.schema.field("x").type) == kind
    assert table.num_rows == sum(map(len, batches))
    assert [v is None for v in table["x"].to_pylist()] == [v is None for b in batches for v in b]


@pytest.mark.parametrize(
    ("batches", "texts"),
    [
        (([2**62], [Decimal("1e-25")]), [str(2**62), "0." + "0" * 24 + "1"]),
        (([Decimal("1e-25")], [2**62]), ["0." + "0" * 24 + "1", str(2**62)]),
        (([Decimal(10) ** 30], [Decimal("1e-20")]), [str(10**30), "0." + "0" * 19 + "1"]),
        (([Decimal("1e-20")], [Decimal(10) ** 30]), ["0." + "0" * 19 + "1", str(10**30)]),
        (([Decimal("1e-7")], ["x"]), ["0.0000001", "x"]),
    ],
)
def test_numbers_that_together_have_too_many_digits_are_text(tmp_path, batches, texts):
    import pyarrow.parquet as pq

    table = pq.read_table(landed(tmp_path / "a", *batches))
    assert table["x"].to_pylist() == texts


def test_the_hash_of_rows_forgets_their_order_and_nothing_else(tmp_path):
    one = rows_hash(landed(tmp_path / "a", [1, 2], [3]), "x")
    assert rows_hash(landed(tmp_path / "b", [3], [2, 1]), "x") == one
    assert one[1] == 3
    others = ([1, 2], [4]), ([1, 2], [3, 3]), ([1, 2],), (["1", "2"], ["3"]), ([1, 2], [None])
    hashes = {rows_hash(landed(tmp_path / f"c{n}", *b), "x")[0] for n, b in enumerate(others)}
    assert len(hashes) == len(others)
    assert one[0] not in hashes
