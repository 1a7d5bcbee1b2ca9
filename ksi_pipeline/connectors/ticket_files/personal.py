"""Personal data in ticket files: found by header and by value, reported, and never read."""

import re
from collections.abc import Iterable, Mapping, Sequence

_HEADER = re.compile(
    r"(?:^|[^a-z])(?:e-?mail|mail|phone|tel(?:efon[eo]?)?|mobile|fax|iban|pan|"
    r"(?:credit|loyalty|bank|member)?card(?:no|num(?:ber)?|holder)?|"
    r"(?:customer|client|first|last|full|given|family|sur|user|holder)name|name|vorname|nachname|"
    r"nombre|apellidos?|prenom|address|street|zip|birth(?:day|date)?|dob|passport|ssn)(?:$|[^a-z])"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", re.IGNORECASE)
_CARD = re.compile(r"\d(?:[ -]?\d){12,18}")
_PHONE = re.compile(r"\+\d[\d ()/-]{7,}\d")
# A gift card says nothing of a person.
_HARMLESS = re.compile(r"gift|product|item|article|store|shop|till|sku|category")


def personal_reason(header: str, values: Iterable[str] = ()) -> str | None:
    """Say why a column looks personal, or None.

    Args:
        header: of the column.
        values: some of its texts.
    """
    words = _CAMEL.sub("_", header).lower()
    joined = words.replace("_", "").replace(" ", "")
    is_named = _HEADER.search(words) or _HEADER.search(joined)
    if is_named and not _HARMLESS.search(words):
        return "its header"
    filled = [value.strip() for value in values if value.strip()]
    if filled:
        for pattern, what in ((_EMAIL, "e-mail addresses"), (_PHONE, "telephone numbers")):
            if sum(bool(pattern.fullmatch(v)) for v in filled) * 2 > len(filled):
                return f"values like {what}"
        if all(_CARD.fullmatch(v) and _passes_luhn(v) for v in filled) and len(filled) > 1:
            return "values like card numbers"
    return None


def personal_columns(sample: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Give the columns of a sample that look personal, with the reason."""
    found = {header: personal_reason(header, values) for header, values in sample.items()}
    return {header: reason for header, reason in found.items() if reason}


def _passes_luhn(text: str) -> bool:
    digits = [int(c) for c in reversed(text) if c.isdigit()]
    doubled = [d * 2 - 9 * (d > 4) for d in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
