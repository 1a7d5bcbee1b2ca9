"""The rows of an answer, parted: plain ones as columns, all others with their text and value.

Plain rows are read in one compiled pass over the bytes. What they give is exactly what the row-wise
rules give for them; tests hold the two side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.core.hour_grid import Int64s
from ksi_pipeline.core.json_list import read_element, read_list

_BOM = b"\xef\xbb\xbf"
# The compiled pass takes half a second to load, in which row by row 20,000 rows are read.
SMALL_BODY = 1 << 14
NULL = -(2**63)


@dataclass(frozen=True, slots=True, eq=False)
class PlainRows:
    """Rows with the contract's fields and types, each by itself; in the order of the answer.

    Attributes:
        numbers: positions in the answer.
        begins, ends: where each stands in the body.
        instants: microseconds since the epoch.
        codes: numbers of `code_texts`.
        categories: numbers of `category_texts`; NULL where not sent.
        amounts: by name of TICKET_HOURS, those that any row has; NULL where not sent, money in
            ten-thousandths.
    """

    body: bytes
    numbers: Int64s
    begins: Int64s
    ends: Int64s
    instants: Int64s
    codes: Int64s
    categories: Int64s
    amounts: dict[str, Int64s]
    code_texts: list[str]
    category_texts: list[str]

    def __len__(self) -> int:
        return len(self.numbers)

    def kept(self, is_kept: NDArray[np.bool_]) -> "PlainRows":
        """Give some of the rows."""
        if is_kept.all():
            return self
        return replace(
            self,
            numbers=self.numbers[is_kept],
            begins=self.begins[is_kept],
            ends=self.ends[is_kept],
            instants=self.instants[is_kept],
            codes=self.codes[is_kept],
            categories=self.categories[is_kept],
            amounts={name: column[is_kept] for name, column in self.amounts.items()},
        )

    def texts(self) -> list[str]:
        """Give the rows exactly as they were sent."""
        spans = zip(self.begins.tolist(), self.ends.tolist(), strict=True)
        return [self.body[begin:end].decode() for begin, end in spans]

    def elements(self) -> list["Element"]:
        """Give the rows as elements of the list."""
        return [
            (number, text, read_element(text))
            for number, text in zip(self.numbers.tolist(), self.texts(), strict=True)
        ]


# Position in the answer, text exactly as it was sent, value.
Element = tuple[int, str, object]


@dataclass(frozen=True, slots=True, eq=False)
class SentRows:
    """All rows of an answer.

    Attributes:
        plain: null where all rows are to be judged one by one.
        others: every row that is not plain.
        extra_names: names outside the contract that plain rows have.
        count: of all rows.
    """

    plain: PlainRows | None
    others: Sequence[Element]
    extra_names: frozenset[str]
    count: int


def sent_rows(body: bytes, asker: str, *, is_small: bool | None = None) -> SentRows:
    """Read the list of an answer.

    Args:
        body: as received.
        asker: as errors begin.
        is_small: read it row by row, as bodies under SMALL_BODY are.

    Raises:
        ContractError: E_NOT_JSON or E_NOT_LIST, see json_list.read_list.
    """
    if is_small is None:
        is_small = len(body) < SMALL_BODY
    scanned = None if is_small else _scanned(body)
    if scanned is not None:
        return scanned
    elements = [(n, text, value) for n, (text, value) in enumerate(read_list(body, asker))]
    return SentRows(None, elements, frozenset(), len(elements))


def _scanned(body: bytes) -> SentRows | None:
    """Scan a body; null where it is no list that can be followed, or holds what is no JSON."""
    from ksi_pipeline.core import ticket_kernel as kernel  # numba is slow to import

    begin = len(_BOM) if body.startswith(_BOM) else 0
    while body[begin : begin + 1] in (b" ", b"\t", b"\n", b"\r"):
        begin += 1
    if body[begin : begin + 1] != b"[" or not _is_utf8(body):
        return None
    padded = np.frombuffer(body + bytes(kernel.PADDING), dtype=np.uint8)
    # elements that are no objects are rare
    most = body.count(b"{") + 1024
    out, count, code_places, category_places, extra_places, counts, used = kernel.scan(
        padded, begin, most
    )
    if count < 0:
        return None
    texts = [
        [body[first:end].decode() for first, end in places[:size].tolist()]
        for places, size in zip((code_places, category_places, extra_places), counts, strict=True)
    ]
    rows = out[:count]
    is_plain = rows[:, kernel.IS_PLAIN] == 1
    for field, found in ((kernel.CODE, texts[0]), (kernel.CATEGORY, texts[1])):
        blank = [number for number, text in enumerate(found) if not text.strip()]
        if blank:
            is_plain &= ~np.isin(rows[:, field], blank)
    try:
        others = _elements(body, rows, np.flatnonzero(~is_plain))
    except (ValueError, RecursionError):
        return None
    bits = int(used) >> len(kernel.NAMES)
    extras = frozenset(name for number, name in enumerate(texts[2]) if bits >> number & 1)
    return SentRows(_plain_rows(body, rows, is_plain, texts, int(used)), others, extras, count)


def _is_utf8(body: bytes) -> bool:
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            return False
    return True


def _elements(body: bytes, rows: Int64s, places: Int64s) -> list[Element]:
    from ksi_pipeline.core import ticket_kernel as kernel  # numba is slow to import

    spans = rows[places][:, (kernel.START, kernel.END)].tolist()
    texts = [body[begin:end].decode() for begin, end in spans]
    return [(n, text, read_element(text)) for n, text in zip(places.tolist(), texts, strict=True)]


def _plain_rows(
    body: bytes, rows: Int64s, is_plain: NDArray[np.bool_], texts: list[list[str]], used: int
) -> PlainRows:
    from ksi_pipeline.core import ticket_kernel as kernel  # numba is slow to import

    numbers = np.flatnonzero(is_plain)
    kept = rows if len(numbers) == len(rows) else rows[numbers]
    unsent = np.full(len(numbers), NULL, dtype=np.int64)

    def column(field: int) -> Int64s:
        is_sent = field >= len(kernel.NAMES) or used >> field & 1
        return np.ascontiguousarray(kept[:, field]) if is_sent else unsent

    return PlainRows(
        body,
        numbers,
        column(kernel.START),
        column(kernel.END),
        column(kernel.TIME),
        column(kernel.CODE),
        column(kernel.CATEGORY),
        {
            kernel.NAMES[field]: column(field)
            for field in range(len(kernel.NAMES))
            if field not in (kernel.TIME, kernel.CODE, kernel.CATEGORY) and used >> field & 1
        },
        texts[0],
        texts[1],
    )


def arrow_column(name: str, values: Int64s, kind: pa.DataType) -> pa.Array:
    """Give one column of amounts as TICKET_HOURS has it."""
    is_sent = values != NULL
    if not is_sent.any():
        return pa.nulls(len(values), kind)
    mask = None if is_sent.all() else ~is_sent
    if name == "currency":
        return _currencies(values, mask)
    if pa.types.is_decimal(kind):
        pairs = np.empty((len(values), 2), dtype=np.int64)
        pairs[:, 0] = values
        pairs[:, 1] = values >> 63
        valid = None if mask is None else pa.array(is_sent).buffers()[1]
        return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(pairs)])
    return pa.array(values, pa.int64(), mask=mask).cast(kind)


def _currencies(values: Int64s, mask: NDArray[np.bool_] | None) -> pa.Array:
    distinct, places = np.unique(values, return_inverse=True)
    texts = [int(v).to_bytes(3, "big").decode() if v != NULL else "" for v in distinct.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(places, pa.int64(), mask=mask))
