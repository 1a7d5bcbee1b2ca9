"""Adding, changing and removing one entry of a list in a YAML file, as text.

A file that people keep is not written anew: only the entry's own text changes, and comments, order
and quotes of everything else stay. What comes out is read again and compared with what was meant;
where a file is written in a way that this cannot follow, it is refused and left alone.
"""

import json
from datetime import date
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from ksi_pipeline.core.errors import ConfigError

Value = str | int | float | bool | date
Entry = dict[str, Value]


def with_entry(text: str, key: str, entry: Entry) -> str:
    """Add an entry to the end of the list under a top-level key, which is made where it is missing.

    Raises:
        ConfigError: E_YAML_EDIT.
    """
    was = _listed(text, key)
    found = _find(text, key)
    if found is None:
        gap = "" if not text or text.endswith("\n") else "\n"
        new = f"{text}{gap}{key}:\n{_block(entry, 2)}\n"
    else:
        name, value = found
        new = _with_entry(text, name, value, entry)
    return _checked(text, new, key, [*was, entry])


def with_values(text: str, key: str, index: int, values: Entry) -> str:
    """Set keys of one entry of the list; others stay.

    Raises:
        ConfigError: E_YAML_EDIT.
    """
    was = _listed(text, key)
    new = text
    for name, value in values.items():
        new = _with_value(new, _entry_node(new, key, index), name, value)
    meant = [{**e, **values} if i == index else e for i, e in enumerate(was)]
    return _checked(text, new, key, meant)


def without_entry(text: str, key: str, index: int) -> str:
    """Remove one entry of the list, with the comments on its own lines.

    Raises:
        ConfigError: E_YAML_EDIT.
    """
    was = _listed(text, key)
    node = _entry_node(text, key, index)
    found = _find(text, key)
    if found is None or not isinstance(found[1], SequenceNode):
        raise _refused(key)
    siblings = found[1].value
    if found[1].flow_style:
        begin, end = node.start_mark.index, _end(node)
        if index + 1 < len(siblings):
            end = siblings[index + 1].start_mark.index
        elif index:
            begin = _end(siblings[index - 1])
    else:
        begin = text.rfind("\n", 0, text.rfind("-", 0, node.start_mark.index)) + 1
        end = _line_end(text, _end(node)) + 1
    head = text[:begin]
    if len(siblings) == 1 and not found[1].flow_style:
        # nothing at all would be null, which is no list
        colon = text.index(":", found[0].end_mark.index) + 1
        head = f"{text[:colon]} []{text[colon:begin]}"
    new = head + text[end:]
    return _checked(text, new, key, [e for i, e in enumerate(was) if i != index])


def _with_entry(text: str, name: Node, value: Node, entry: Entry) -> str:
    if isinstance(value, SequenceNode) and value.value:
        last = _end(value.value[-1])
        if value.flow_style:
            return f"{text[:last]}, {_flow(entry)}{text[last:]}"
        at = _line_end(text, last)
        return f"{text[:at]}\n{_block(entry, value.start_mark.column)}{text[at:]}"
    # an empty list or nothing: it gives way to a list with one entry to the line
    colon = text.index(":", name.end_mark.index) + 1
    rest = text[_end(value) :] if isinstance(value, SequenceNode) else text[colon:]
    after = rest if rest.startswith("\n") or not rest.strip() else f" {rest.lstrip(' ')}"
    line, newline, below = after.partition("\n")
    return f"{text[:colon]}{line.rstrip()}\n{_block(entry, 2)}{newline or chr(10)}{below}"


def _with_value(text: str, node: MappingNode, name: str, value: Value) -> str:
    for known, old in node.value:
        if known.value == name:
            written = _flow({name: value})[1:-1] if node.flow_style else _pair(name, value)
            return text[: known.start_mark.index] + written + text[_end(old) :]
    last = _end(node.value[-1][1])
    if node.flow_style:
        return f"{text[:last]}, {_flow({name: value})[1:-1]}{text[last:]}"
    at = _line_end(text, last)
    return f"{text[:at]}\n{' ' * node.start_mark.column}{_pair(name, value)}{text[at:]}"


def _block(entry: Entry, column: int) -> str:
    lines = [_pair(name, value) for name, value in entry.items()]
    return "\n".join(
        f"{' ' * column}{'  ' if number else '- '}{line}" for number, line in enumerate(lines)
    )


def _pair(name: str, value: Value) -> str:
    return _dumped({name: value}, is_flow=False)


def _flow(entry: Entry) -> str:
    return _dumped(entry, is_flow=True)


def _dumped(entry: Entry, *, is_flow: bool) -> str:
    # letters as they are; breaks of line that only Unicode knows would not be read back
    breaks = any(mark in str(value) for value in entry.values() for mark in "\x85\u2028\u2029")
    dumped = yaml.safe_dump(
        entry,
        default_flow_style=is_flow,
        sort_keys=False,
        width=10**9,
        allow_unicode=not breaks,
    )
    return str(dumped).rstrip("\n")


def _find(text: str, key: str) -> tuple[Node, Node] | None:
    root = _compose(text)
    if root is None:
        return None
    if not isinstance(root, MappingNode):
        raise _refused(key)
    return next(((k, v) for k, v in root.value if k.value == key), None)


def _entry_node(text: str, key: str, index: int) -> MappingNode:
    found = _find(text, key)
    if found is None or not isinstance(found[1], SequenceNode):
        raise _refused(key)
    node = found[1].value[index]
    # an empty entry, or one that stands elsewhere under an anchor
    if not isinstance(node, MappingNode) or not node.value:
        raise _refused(key)
    return node


def _end(node: Node) -> int:
    """Give the index after the last character; a block ends with its last value, not below it."""
    if isinstance(node, ScalarNode) or (isinstance(node, CollectionNode) and node.flow_style):
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _compose(text: str) -> Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None


def _listed(text: str, key: str) -> list[Any]:
    return list((yaml.safe_load(text) or {}).get(key) or [])


def _checked(before: str, after: str, key: str, meant: list[Any]) -> str:
    """Give the new text if it says what was meant, and nothing else was changed."""
    try:
        was, now = yaml.safe_load(before) or {}, yaml.safe_load(after) or {}
    except yaml.YAMLError:
        raise _refused(key) from None
    if _plain(now.pop(key, None) or []) != _plain(meant):
        raise _refused(key)
    was.pop(key, None)
    if _plain(was) != _plain(now):
        raise _refused(key)
    return after


def _plain(value: object) -> str:
    """Write a value so that 1, true and "1" differ."""
    return json.dumps(value, sort_keys=True, default=repr)


def _refused(key: str) -> ConfigError:
    return ConfigError(
        f"The list {key}: of the file is written in a way that cannot be changed safely from here. "
        "Nothing was written. Change the file in an editor.",
        code="E_YAML_EDIT",
    )
