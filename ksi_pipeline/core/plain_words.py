"""What pydantic says about a value, in words for people who do not read Python."""

from collections.abc import Sequence

_WORDS = {
    "bool_type": "it should be true or false",
    "date_from_datetime_parsing": "it is no date; write it like 2026-03-27",
    "date_from_datetime_inexact": "it is no date; write it like 2026-03-27",
    "date_parsing": "it is no date; write it like 2026-03-27",
    "date_type": "it is no date; write it like 2026-03-27",
    "dict_type": "it should be keys with values",
    "finite_number": "it should be a number",
    "float_parsing": "it should be a number",
    "float_type": "it should be a number",
    "int_parsing": "it should be a whole number",
    "int_type": "it should be a whole number",
    "int_from_float": "it should be a whole number",
    "list_type": "it should be a list",
    "missing": "it is missing; add it",
    "model_type": "it should be keys with values",
    "recursion_loop": "it holds itself, which never ends",
    "string_type": "it should be text; put it in quotes",
    "tuple_type": "it should be a list",
}


def named(path: Sequence[str | int], value: object) -> str:
    """Name a value by its key; an item of a list by what it is, and by the key of the list.

    >>> named(("during", "from"), "soon"), named(("metrics", 0), "profit")
    ("'from' is 'soon'", "'profit' in 'metrics'")
    """
    keys = [part for part in path if isinstance(part, str)]
    if keys and isinstance(path[-1], int):
        return f"{value!r} in {keys[-1]!r}"
    return f"{path[-1]!r} is {value!r}"


def plain(kind: str, said: str) -> str:
    """Say what is wrong with a value.

    Args:
        kind: pydantic's type of the error.
        said: pydantic's own message, for what has no words here.
    """
    if kind in _WORDS:
        return _WORDS[kind]
    said = said.removeprefix("Value error, ").replace("Input should be", "it should be")
    return said[0].lower() + said[1:]
