"""What a connector says once about all its amounts, where its rows do not say it themselves."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.ticket_answer import ParsedAnswer

_MONEY = ("gross_sales", "returns_amount", "net_sales")


def with_defaults(
    answer: ParsedAnswer, currency: str | None, tax_included: bool | None
) -> ParsedAnswer:
    """Fill in currency and tax basis of the rows that have an amount; what a row says holds.

    Args:
        answer: as parse_hourly_answer gave it.
        currency: ISO 4217, or null to leave it unknown.
        tax_included: whether amounts include tax, or null to leave it unknown.
    """
    rows = answer.rows
    for name, value in (("currency", currency), ("tax_included", tax_included)):
        if value is not None and rows[name].null_count:
            filled = pc.if_else(_has_amount(rows), pc.fill_null(rows[name], value), rows[name])
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), filled)
    return answer if rows is answer.rows else replace(answer, rows=rows)


def _has_amount(rows: pa.Table) -> pa.ChunkedArray:
    has_amount = rows[_MONEY[0]].is_valid()
    for name in _MONEY[1:]:
        has_amount = pc.or_(has_amount, rows[name].is_valid())
    return has_amount
