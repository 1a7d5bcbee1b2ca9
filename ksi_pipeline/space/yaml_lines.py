"""YAML with the line of every value, so that an error can say where to look."""

import re
from datetime import date
from typing import Any

import yaml

from ksi_pipeline.core.errors import ConfigError

Path = tuple[str | int, ...]

# The C parser, where PyYAML was built with it, is ten times faster.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 100
# No text is deep without one of these: many dashes in a row, a far indent, or brackets (_is_deep).
_STEEP = re.compile(r"(?:[-?:] +){50}|^ {50}", re.MULTILINE)
_BRACKETS = re.compile(r"[\[\]{}]")
_SHOWN = 40
_KINDS = {"!!timestamp": "a date", "!!int": "a whole number", "!!float": "a number"}


def read_yaml(text: str, name: str) -> tuple[Any, dict[Path, int]]:
    """Parse YAML and remember lines.

    Args:
        text: the file's content.
        name: what errors call the file.

    Returns:
        The value, and for each path into it (keys and indexes) its line, from 1.

    Raises:
        ConfigError: the text is no YAML, a value is none (30 February, or a tag that stands for
            code), or a key is given twice in one mapping.
    """
    try:
        # The C parser ends the whole process where Python's raises RecursionError.
        is_deep = _is_deep(text)
        node = None if is_deep else yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it could not be read"
        raise ConfigError(
            f"{name}{where}: this is no YAML: {problem}. Correct the line; indentation and "
            "brackets are the usual cause.",
            code="E_SPACE_YAML",
        ) from error
    if is_deep:
        raise ConfigError(
            f"{name}: this is no YAML that can be used: brackets lie hundreds deep in each other. "
            "Close those that were left open.",
            code="E_SPACE_YAML",
        )
    lines: dict[Path, int] = {}
    if node is None:
        return None, lines
    return _value(node, (), lines, name, frozenset()), lines


def _is_deep(text: str) -> bool:
    open_brackets = most = 0
    for bracket in _BRACKETS.findall(text):
        open_brackets += 1 if bracket in "[{" else -1
        most = max(most, open_brackets)
    if most < 50 and not _STEEP.search(text):
        return False
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return True
    return False


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """Give the line of a path, or of its closest parent that is in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _value(
    node: yaml.Node, path: Path, lines: dict[Path, int], name: str, around: frozenset[int]
) -> Any:
    lines[path] = node.start_mark.line + 1
    if id(node) in around:
        raise ConfigError(
            f"{name} line {lines[path]}: this is no YAML that can be used: an anchor (&) is used "
            "inside what it stands for, which never ends. Write the value out.",
            code="E_SPACE_YAML",
        )
    around |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in result:
                raise ConfigError(
                    f"{name} line {key_node.start_mark.line + 1}: the key {key!r} is given twice "
                    "here; YAML would silently keep the last. Remove one.",
                    code="E_SPACE_YAML",
                )
            result[key] = _value(value_node, (*path, key), lines, name, around)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, i), lines, name, around) for i, item in enumerate(node.value)]
    value = _scalar(node, f"{name} line {lines[path]}")
    return value if isinstance(value, str | int | float | bool | date | None) else str(value)


def _scalar(node: yaml.Node, where: str) -> Any:
    try:
        return yaml.constructor.SafeConstructor().construct_object(node, deep=True)
    # PyYAML takes the text apart unchecked, so that what is wrong with it may be any of these
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, ValueError) as error:
        text = str(node.value)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise ConfigError(
            f"{where}: {shown!r} cannot be read as {_KINDS.get(tag, tag)}. Correct it, or "
            "write it in quotes and without a tag where it is text.",
            code="E_SPACE_YAML",
        ) from error
