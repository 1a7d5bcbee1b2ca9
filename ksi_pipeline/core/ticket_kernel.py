"""Reading the plain rows of an hourly answer out of its bytes, in one compiled pass.

A row is plain when nothing about it needs an explanation: an object of flat fields, each named
once, with the contract's types and values. Every other element is passed over by its brackets, for
the row-wise rules to judge (core.ticket_verdicts); where the list itself cannot be followed, the
whole answer is theirs. So a kernel never refuses anything.

Importing this module imports numba: import it in the function that needs it, see core.kernels.
What calls each other lives in this one file, for numba's cache.
"""

import numpy as np

from ksi_pipeline.core.compiled import compiled

# Columns of what `scan` gives; NULL where a field was not sent.
TIME, CODE, TICKETS, CATEGORY, RETURNS, GROSS, RETURNED, NET, UNITS, CURRENCY, TAX = range(11)
START, END, IS_PLAIN = 11, 12, 13
COLUMNS = 14
NULL = -(2**63)
# In the order of the columns.
NAMES = (
    "time",
    "ext_ref_code",
    "num_tickets",
    "category",
    "num_returns",
    "gross_sales",
    "returns_amount",
    "net_sales",
    "units",
    "currency",
    "tax_included",
)
# Names outside the contract that one answer may have; rows with others are not plain.
MOST_EXTRAS = 48
PADDING = 32

_KNOWN = len(NAMES)
_WIDTH = max(map(len, NAMES))
_LENGTHS = np.array([len(name) for name in NAMES])
_LETTERS = np.array([list(name.ljust(_WIDTH).encode()) for name in NAMES], dtype=np.uint8)
_QUOTE, _ESCAPE, _COMMA, _COLON = ord('"'), ord("\\"), ord(","), ord(":")
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = ord("{"), ord("}"), ord("["), ord("]")
_ZERO, _NINE, _MINUS, _PLUS, _POINT = ord("0"), ord("9"), ord("-"), ord("+"), ord(".")
_T, _Z, _BLANK = ord("T"), ord("Z"), ord(" ")
_E_SMALL, _E_LARGE, _A_LARGE, _Z_LARGE = ord("e"), ord("E"), ord("A"), ord("Z")
_TRUE = np.frombuffer(b"true", dtype=np.uint8)
_FALSE = np.frombuffer(b"false", dtype=np.uint8)
_NULL_WORD = np.frombuffer(b"null", dtype=np.uint8)
_BAD = -1


@compiled
def _skip_space(body, at):
    while body[at] == 32 or body[at] == 10 or body[at] == 13 or body[at] == 9:
        at += 1
    return at


@compiled
def _text_end(body, at):
    """Give the place of the closing quote of plain text that begins at `at`, or _BAD."""
    while body[at] != _QUOTE:
        if body[at] == _ESCAPE or body[at] < 32:
            return _BAD
        at += 1
    return at


@compiled
def _is_word(body, at, word):
    is_same = True
    for i in range(len(word)):
        is_same &= body[at + i] == word[i]
    return is_same


@compiled
def _digits(body, at, count):
    """Give the number that so many digits spell, or _BAD."""
    value = 0
    for i in range(at, at + count):
        if body[i] < _ZERO or body[i] > _NINE:
            return _BAD
        value = value * 10 + (body[i] - _ZERO)
    return value


@compiled
def _instant(body, at):
    """Read YYYY-MM-DDTHH:MM:SS[.000]Z or with +HH:MM: (microseconds since 1970, end or _BAD)."""
    if body[at + 4] != _MINUS or body[at + 7] != _MINUS:
        return NULL, _BAD
    if body[at + 10] != _T and body[at + 10] != _BLANK:
        return NULL, _BAD
    if body[at + 13] != _COLON or body[at + 16] != _COLON:
        return NULL, _BAD
    year, month, day = _digits(body, at, 4), _digits(body, at + 5, 2), _digits(body, at + 8, 2)
    hour, minute = _digits(body, at + 11, 2), _digits(body, at + 14, 2)
    second = _digits(body, at + 17, 2)
    if year < 1901 or year > 2199 or month < 1 or month > 12 or day < 1:
        return NULL, _BAD
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return NULL, _BAD
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = 31
    if month == 2:
        last = 29 if is_leap else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        last = 30
    if day > last:
        return NULL, _BAD
    at += 19
    if body[at] == _POINT:
        at += 1
        first = at
        while body[at] == _ZERO:
            at += 1
        if at - first != 3 and at - first != 6:
            return NULL, _BAD
    offset = 0
    if body[at] == _Z:
        at += 1
    elif (body[at] == _PLUS or body[at] == _MINUS) and body[at + 3] == _COLON:
        hours, minutes = _digits(body, at + 1, 2), _digits(body, at + 4, 2)
        if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
            return NULL, _BAD
        offset = hours * 3600 + minutes * 60
        if body[at] == _MINUS:
            offset = -offset
        at += 6
    else:
        return NULL, _BAD
    if body[at] != _QUOTE:
        return NULL, _BAD
    # days since 1970 of a date of the Gregorian calendar, counted from March
    shifted = year - 1 if month <= 2 else year
    era_year = shifted % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = shifted // 400 * 146097 + era_year * 365 + era_year // 4 - era_year // 100
    days += of_year - 719468
    return (days * 86400 + hour * 3600 + minute * 60 + second - offset) * 1_000_000, at


@compiled
def _number(body, at, decimals):
    """Read a number with at most so many decimals, scaled by them: (value, end), or end _BAD."""
    is_negative = body[at] == _MINUS
    if is_negative:
        at += 1
    first = at
    value = np.int64(0)
    while body[at] >= _ZERO and body[at] <= _NINE:
        if at - first >= 14:
            return value, _BAD
        value = value * 10 + (body[at] - _ZERO)
        at += 1
    if at == first or (body[first] == _ZERO and at > first + 1):
        return value, _BAD
    left = decimals
    if body[at] == _POINT:
        at += 1
        first = at
        while body[at] >= _ZERO and body[at] <= _NINE:
            if left == 0:
                return value, _BAD
            value = value * 10 + (body[at] - _ZERO)
            left -= 1
            at += 1
        if at == first:
            return value, _BAD
    if body[at] == _E_SMALL or body[at] == _E_LARGE or body[at] == _POINT:
        return value, _BAD
    for _ in range(left):
        value *= 10
    return (-value if is_negative else value), at


@compiled
def _flat_end(body, at):
    """Give the end of a value outside the contract that is text, a number or a word, or _BAD."""
    if body[at] == _QUOTE:
        end = _text_end(body, at + 1)
        return _BAD if end == _BAD else end + 1
    if _is_word(body, at, _TRUE) or _is_word(body, at, _NULL_WORD):
        return at + 4
    if _is_word(body, at, _FALSE):
        return at + 5
    return _number(body, at, 4)[1]


@compiled
def _is_named(body, at, field):
    """Tell whether the name of a field of the contract, and its closing quote, stand there."""
    for i in range(_LENGTHS[field]):
        if _LETTERS[field, i] != body[at + i]:
            return False
    return body[at + _LENGTHS[field]] == _QUOTE


@compiled
def _field_of(body, at, guess):
    """Give the number of the field of the contract that is named there, or _BAD."""
    if _is_named(body, at, guess):
        return guess
    for field in range(_KNOWN):
        if _is_named(body, at, field):
            return field
    return _BAD


@compiled
def _interned(body, at, end, slots, places, count):
    """Give the number of a text among those seen so far; a new one gets the next number."""
    hashed = np.uint64(14695981039346656037)
    for i in range(at, end):
        hashed = (hashed ^ np.uint64(body[i])) * np.uint64(1099511628211)
    mask = len(slots) - 1
    slot = np.int64((hashed ^ (hashed >> np.uint64(29))) & np.uint64(mask))
    while slots[slot] >= 0:
        number = slots[slot]
        if places[number, 1] - places[number, 0] == end - at:
            is_same = True
            for i in range(end - at):
                if body[places[number, 0] + i] != body[at + i]:
                    is_same = False
                    break
            if is_same:
                return number
        slot = (slot + 1) & mask
    slots[slot] = count
    places[count, 0] = at
    places[count, 1] = end
    return count


@compiled
def _extra_of(body, at, end, places, count):
    """Give the number of a name outside the contract; `count` where it is new."""
    for number in range(count):
        if places[number, 1] - places[number, 0] != end - at:
            continue
        is_same = True
        for i in range(end - at):
            if body[places[number, 0] + i] != body[at + i]:
                is_same = False
                break
        if is_same:
            return number
    return count


@compiled
def _element_end(body, at):
    """Give the end of any element, by its brackets and quotes alone, or _BAD."""
    depth = 0
    first = at
    while body[at] != 0:
        byte = body[at]
        if byte == _QUOTE:
            at += 1
            while body[at] != _QUOTE:
                if body[at] == 0:
                    return _BAD
                at += 2 if body[at] == _ESCAPE and body[at + 1] != 0 else 1
            if depth == 0:
                return at + 1
        elif byte in (_OPEN, _OPEN_LIST):
            depth += 1
        elif byte in (_CLOSE, _CLOSE_LIST):
            if depth == 0:
                return at if at > first else _BAD
            depth -= 1
            if depth == 0:
                return at + 1
        elif depth == 0 and (byte == _COMMA or byte == 32 or (9 <= byte <= 13)):
            return at if at > first else _BAD
        at += 1
    return _BAD


@compiled
def _value(body, at, field, row, texts):
    """Read the value of a field into `row` (text into `texts`), and give its end, or _BAD."""
    if field > TICKETS and _is_word(body, at, _NULL_WORD):
        row[field] = NULL
        return at + 4
    if field in (TIME, CODE, CATEGORY, CURRENCY):
        if body[at] != _QUOTE:
            return _BAD
        if field == TIME:
            row[TIME], end = _instant(body, at + 1)
            return _BAD if end == _BAD else end + 1
        end = _text_end(body, at + 1)
        if end == _BAD:
            return _BAD
        if field == CURRENCY:
            if end - at != 4:
                return _BAD
            packed = 0
            for i in range(at + 1, end):
                if body[i] < _A_LARGE or body[i] > _Z_LARGE:
                    return _BAD
                packed = packed * 256 + body[i]
            row[CURRENCY] = packed
        else:
            which = 0 if field == CODE else 1
            texts[which, 0] = at + 1
            texts[which, 1] = end
            row[field] = 0
        return end + 1
    if field == TAX:
        is_true = _is_word(body, at, _TRUE)
        if not is_true and not _is_word(body, at, _FALSE):
            return _BAD
        row[TAX] = 1 if is_true else 0
        return at + (4 if is_true else 5)
    value, end = _number(body, at, 4 if GROSS <= field <= NET else 0)
    if end != _BAD:
        if value < 0 and field in (TICKETS, RETURNS):
            return _BAD
        row[field] = value
    return end


@compiled
def _plain_row(body, at, row, texts, extras, extra_count, guesses):
    """Read one object into `row`: (its end or _BAD, names seen, names outside the contract)."""
    for field in range(_KNOWN):
        row[field] = NULL
    seen = np.int64(0)
    at = _skip_space(body, at + 1)
    for turn in range(_KNOWN + MOST_EXTRAS):
        if body[at] != _QUOTE:
            return _BAD, seen, extra_count
        field = _field_of(body, at + 1, guesses[turn] if turn < _KNOWN else 0)
        if field != _BAD:
            name_end = at + 1 + _LENGTHS[field]
            if turn < _KNOWN:
                guesses[turn] = field
            bit = np.int64(1) << np.int64(field)
        else:
            name_end = _text_end(body, at + 1)
            if name_end == _BAD:
                return _BAD, seen, extra_count
            extra = _extra_of(body, at + 1, name_end, extras, extra_count)
            if extra == MOST_EXTRAS:
                return _BAD, seen, extra_count
            if extra == extra_count:
                extras[extra, 0] = at + 1
                extras[extra, 1] = name_end
                extra_count += 1
            bit = np.int64(1) << np.int64(_KNOWN + extra)
        if seen & bit:
            return _BAD, seen, extra_count
        seen |= bit
        at = _skip_space(body, name_end + 1)
        if body[at] != _COLON:
            return _BAD, seen, extra_count
        at = _skip_space(body, at + 1)
        at = _value(body, at, field, row, texts) if field != _BAD else _flat_end(body, at)
        if at == _BAD:
            return _BAD, seen, extra_count
        at = _skip_space(body, at)
        if body[at] == _CLOSE:
            return (at + 1 if seen & 7 == 7 else _BAD), seen, extra_count
        if body[at] != _COMMA:
            return _BAD, seen, extra_count
        at = _skip_space(body, at + 1)
    return _BAD, seen, extra_count


@compiled
def scan(padded, at, most):
    """Read a bare list from its first byte after white space.

    Args:
        padded: UTF-8, uint8, and PADDING zeros after it, at which every loop ends.
        at: where the list begins.
        most: no fewer than its elements.

    Returns:
        * int64 (most, COLUMNS): a row for each element, CODE and CATEGORY as numbers of texts;
        * how many elements there are, or -1 where the list cannot be followed;
        * (first, end) of each text of CODE, of CATEGORY, and of names outside the contract;
        * how many of each, and the bits of the fields and other names that plain rows have.
    """
    body, size = padded, len(padded) - PADDING
    out = np.empty((most, COLUMNS), dtype=np.int64)
    texts = np.empty((2, 2), dtype=np.int64)
    # a plain row has 66 bytes or more, so there are no more texts than that
    room = size // 64 + 2
    width = 64
    while width < 2 * room:
        width *= 2
    slots = np.full((2, width), -1, dtype=np.int32)
    codes = np.empty((room, 2), dtype=np.int64)
    categories = np.empty((room, 2), dtype=np.int64)
    extras = np.empty((MOST_EXTRAS, 2), dtype=np.int64)
    guesses = np.arange(_KNOWN)
    count, code_count, category_count, extra_count = 0, 0, 0, 0
    used = np.int64(0)
    at = _skip_space(body, at + 1)
    if body[at] == _CLOSE_LIST:
        at = _skip_space(body, at + 1)
        return out, (0 if at == size else -1), codes, categories, extras, (0, 0, 0), used
    while True:
        if count >= most:
            count = -1
            break
        row, end, seen = out[count], _BAD, np.int64(0)
        if body[at] == _OPEN:
            end, seen, extra_count = _plain_row(body, at, row, texts, extras, extra_count, guesses)
        is_plain = end != _BAD
        if is_plain:
            used |= seen
            row[CODE] = _interned(body, texts[0, 0], texts[0, 1], slots[0], codes, code_count)
            code_count = max(code_count, row[CODE] + 1)
            if row[CATEGORY] != NULL:
                row[CATEGORY] = _interned(
                    body, texts[1, 0], texts[1, 1], slots[1], categories, category_count
                )
                category_count = max(category_count, row[CATEGORY] + 1)
        else:
            end = _element_end(body, at)
            if end == _BAD:
                count = -1
                break
        row[START], row[END], row[IS_PLAIN] = at, end, is_plain
        count += 1
        at = _skip_space(body, end)
        if body[at] == _CLOSE_LIST:
            if _skip_space(body, at + 1) != size:
                count = -1
            break
        if body[at] != _COMMA:
            count = -1
            break
        at = _skip_space(body, at + 1)
    counts = (code_count, category_count, extra_count)
    return out, count, codes, categories, extras, counts, used
