"""What targets made of tables share: the column of the batch, partitions, names of types."""

import re

from ksi_pipeline.core.publishing import NO_MONTH, WHOLE, Part

# Of each row, the batch that brought it.
BATCH_ID = "ksi_batch_id"
_DATE = "business_date"
_TYPES = {
    "varchar": "text",
    "text": "text",
    "character varying": "text",
    "bigint": "bigint",
    "double": "double",
    "double precision": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp without time zone": "timestamp",
}


def of_part(part: Part) -> str:
    """Write which rows of a table are a partition's."""
    if part.month == WHOLE:
        return "true"
    if part.month == NO_MONTH:
        return f"{_DATE} is null"
    year, month = int(part.month[:4]), int(part.month[5:])
    after = f"{year + month // 12:04d}-{month % 12 + 1:02d}"
    return f"{_DATE} >= date '{part.month}-01' and {_DATE} < date '{after}-01'"


def type_named(told: str) -> str:
    """Give our name of an engine's type; its own where marts have no such type."""
    low = told.lower()
    if found := re.fullmatch(r"(?:decimal|numeric)\((\d+), ?(\d+)\)", low):
        return f"decimal({found[1]},{found[2]})"
    return _TYPES.get(low, low)
