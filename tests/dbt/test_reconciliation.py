"""In = out + quarantined + unmatched, over the cases."""

import pytest

from .small_site import rows_of

pytestmark = pytest.mark.slow

MART = "marts.fct_ticket_reconciliation_daily"


def test_every_row_of_the_lake_is_in_one_place_and_only_there(built):
    (lake,) = rows_of(
        built,
        "select (select count(*) from lake.ticket_hours) as loaded, "
        "(select count(*) from lake.quarantine) as refused",
    )
    (mart,) = rows_of(
        built,
        "select sum(row_count) as row_count, sum(quarantined_row_count) as quarantined, "
        "sum(superseded_row_count + in_marts_row_count + unmatched_row_count + withheld_row_count "
        f"+ outside_calendar_row_count) as placed from {MART}",
    )
    assert mart["row_count"] == lake["loaded"] + lake["refused"]
    assert (mart["quarantined"], mart["placed"]) == (lake["refused"], lake["loaded"])


def test_tickets_of_a_code_that_nobody_linked_are_counted_and_in_no_unit(built):
    (stray,) = rows_of(built, f"select * from {MART} where ext_ref_code = 'stray'")
    figures = ("ticket_count", "unmatched_ticket_count", "in_marts_ticket_count", "is_reconciled")
    assert tuple(stray[name] for name in figures) == (4, 4, 0, True)
    assert (stray["basis"], stray["reason"]) == ("missing", "code_not_linked")


def test_what_was_refused_stands_beside_with_its_code(built):
    (refused,) = rows_of(built, f"select * from {MART} where ext_ref_code = ''")
    assert (refused["connector_id"], refused["quarantined_row_count"]) == ("pos", 1)
    assert (refused["reason"], refused["ticket_count"]) == ("E_ROW_TYPE", None)


def test_the_tickets_of_the_marts_are_those_of_the_codes(built):
    (codes,) = rows_of(built, f"select sum(in_marts_ticket_count) as tickets from {MART}")
    (units,) = rows_of(built, "select sum(ticket_count) as tickets from marts.fct_sales_hourly")
    assert codes == units


def test_tickets_outside_opening_hours_are_counted(built):
    (code,) = rows_of(built, f"select * from {MART} where ext_ref_code = '0001'")
    assert (code["outside_opening_ticket_count"], code["outside_opening_rate"]) == (0, 0.0)
