"""A connectors.yaml to fill in: every setting of a kind, with what it means.

What a setting means is what the docstring of its class says.
"""

import inspect
import re
import textwrap

import yaml

from ksi_pipeline.connectors.base_config import ConnectorBase

_EXAMPLES = {"url": "https://till.example.com/sales", "mapping": "my-mapping"}
_WIDTH = 92


def template(kind: type[ConnectorBase], kind_name: str, connector_id: str) -> str:
    """Write a file with one connector, which can be loaded as it stands.

    What has to be said has an example; everything else is commented out, with its default.
    """
    given = {"id": connector_id, "kind": kind_name}
    meanings = _meanings(kind)
    lines = ["connectors:"]
    for name, field in kind.model_fields.items():
        indent = "    " if lines[1:] else "  - "
        said = textwrap.wrap(meanings.get(name, ""), _WIDTH)
        lines += [f"    # {line}" for line in said] if lines[1:] else []
        default = field.get_default(call_default_factory=True)
        if field.is_required() or name in kind.examples:
            examples = {**_EXAMPLES, **kind.examples, **given}
            value = examples.get(name) or _example_of(name)
            lines.append(indent + _written(name, value))
        elif name == "absent_means":
            lines.append("    # zero or missing; without it, it cannot be activated")
            lines.append("    # absent_means: missing")
        elif default is not None:
            lines.append("    # " + _written(name, default))
        else:
            lines.append(f"    # {name}:")
    return "\n".join(lines) + "\n"


def _meanings(kind: type[ConnectorBase]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        attributes = (inspect.getdoc(one) or "").partition("Attributes:\n")[2]
        if issubclass(one, ConnectorBase):
            entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", attributes, re.M)
            found |= {name: " ".join(said.split()) for name, said in entries}
    return found


def _example_of(name: str) -> str:
    """Give a text that can stand there: settings that end in _env name a variable."""
    return f"MY_{name.removesuffix('_env').upper()}" if name.endswith("_env") else "change-me"


def _written(name: str, value: object) -> str:
    return yaml.safe_dump({name: value}, default_flow_style=False).strip()
