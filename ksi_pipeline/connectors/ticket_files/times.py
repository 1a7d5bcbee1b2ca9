"""Times as text: wall clocks and instants, in the mapping's format or ISO 8601."""

import polars as pl

_NAIVE = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
_OFFSET = ("%Y-%m-%d %H:%M:%S%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M%:z")


def read_times(text: pl.Series, given: str | None) -> tuple[pl.Series, pl.Series]:
    """Read times: formats are tried one after the other, on what is still unread.

    Args:
        text: of the field `at`.
        given: format of the mapping, in strftime's letters; None: ISO 8601.

    Returns:
        `_naive`, wall clocks, and `_instant`, UTC; both null where the text is no time.
    """
    none = pl.Series("_naive", [None], dtype=pl.Datetime("us")).new_from_index(0, len(text))
    naive, instant = none, none
    if given and "%z" not in given and "%:z" not in given:
        naive = text.str.to_datetime(given, strict=False, time_unit="us")
    if naive.null_count():
        # dates of typed files are ISO whatever the format says
        iso = text.str.replace("T", " ", literal=True)
        for pattern in _NAIVE:
            if naive.null_count():
                read = iso.str.to_datetime(pattern, strict=False, time_unit="us")
                naive = naive.zip_with(naive.is_not_null(), read)
    if naive.null_count():
        instant = _instants(text, iso, given)
        # what has an offset is an instant, though a naive format may read its beginning
        naive = naive.zip_with(instant.is_null(), none)
    return naive.alias("_naive"), instant.alias("_instant")


def _instants(text: pl.Series, iso: pl.Series, given: str | None) -> pl.Series:
    offset = iso.str.replace("Z$", "+00:00").str.replace(r"([+-]\d\d)(\d\d)$", "$1:${2}")
    offset = offset.str.replace(r"(:\d\d(?:\.\d+)?[+-]\d\d)$", "${1}:00")
    tries = [(offset, pattern) for pattern in _OFFSET]
    if given and ("%z" in given or "%:z" in given):
        tries.insert(0, (text, given))
    instant = pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, len(text))
    for source, pattern in tries:
        read = source.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
        read = read.dt.replace_time_zone(None)
        instant = instant.zip_with(instant.is_not_null(), read)
    return instant
