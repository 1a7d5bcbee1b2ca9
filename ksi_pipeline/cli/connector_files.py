"""`ksi connector new|edit|rm|link|unlink`: changes to connectors.yaml and to space files."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError

from ksi_pipeline.cli.connector import ConnectorId, DataDir, config_of, connector, open_home
from ksi_pipeline.cli.console import day_option, err, errors_as_messages, out
from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.config import KINDS, parse_connectors
from ksi_pipeline.connectors.template import template
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import plain
from ksi_pipeline.defs.steps import connector_files, connector_state
from ksi_pipeline.defs.steps.yaml_entries import Entry
from ksi_pipeline.space.model import Link

# settings that `new` has an option of their own for
_OPTIONS = {"url", "token_env", "mapping", "absent_means"}

Code = Annotated[str, typer.Argument(help="ext_ref_code as the feed writes it.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Another setting, like max_attempts=2; again for more."),
]


@connector.command()
def new(
    connector_id: Annotated[str, typer.Argument(help="Its id; it names rows and a folder.")],
    kind: Annotated[
        str, typer.Option(help=f"What it is: {', '.join(KINDS)}.", show_default=True)
    ] = "hourly_api",
    url: Annotated[
        str | None, typer.Option(help="Without fromTime, toTime and ext_ref_codes.")
    ] = None,
    token_env: Annotated[
        str | None, typer.Option(help="NAME of the variable that holds the Bearer token.")
    ] = None,
    mapping: Annotated[
        str | None, typer.Option(help="Of ticket files: name of its file in mappings/.")
    ] = None,
    absent_means: Annotated[
        str | None, typer.Option(help="What an hour without a row is: zero or missing.")
    ] = None,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Permit http://, which anyone can read.")
    ] = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Permit an address of the own network.")
    ] = False,
    owner: Annotated[str | None, typer.Option(help="Who is told when it fails.")] = None,
    more: Settings = None,
    is_template: Annotated[
        bool, typer.Option("--template", help="Print every setting with its meaning, and end.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Describe a connector in connectors.yaml, as a draft; a terminal is asked what is left out."""
    if is_template:
        _print_template(connector_id, kind)
        return
    given: Entry = {}
    options = {"url": url, "token_env": token_env, "mapping": mapping, "owner": owner}
    given |= {name: value for name, value in options.items() if value is not None}
    given |= {"allow_http": True} if allow_http else {}
    given |= {"allow_private": True} if allow_private else {}
    given |= {"absent_means": absent_means} if absent_means is not None else {}
    with errors_as_messages():
        workspace = open_home(data_dir)
        entry: Entry = {"id": connector_id, "kind": kind}
        entry |= _completed(_class_of(kind), given | _settings(more))
        path = connector_files.add_connector(workspace, entry)
    out.print(f"{connector_id} is a draft in {path}.", markup=False, soft_wrap=True)
    more_words = " --code CODE" if kind == "hourly_api" else ""
    out.print(f"Next: ksi connector test {connector_id}{more_words}", markup=False)


def _print_template(connector_id: str, kind: str) -> None:
    with errors_as_messages():
        text = template(_class_of(kind), kind, connector_id)
        parse_connectors(text, Path("the template"))
    typer.echo(text, nl=False)


@connector.command()
def edit(connector_id: ConnectorId, more: Settings = None, data_dir: DataDir = None) -> None:
    """Change settings of a connector in connectors.yaml; comments and all else in it stay."""
    with errors_as_messages():
        workspace = open_home(data_dir)
        values = _settings(more)
        if not values:
            raise _no_setting("nothing to change was given")
        connector_files.edit_connector(workspace, connector_id, values)
        state = connector_state.state_of(workspace, config_of(workspace, connector_id))
    out.print(f"{connector_id} was changed and is {state}.", markup=False)
    if state == "draft":
        out.print(f"Next: ksi connector test {connector_id}", markup=False)


@connector.command("rm")
def remove(connector_id: ConnectorId, data_dir: DataDir = None) -> None:
    """Take a connector out of connectors.yaml; refused while a code of it is linked."""
    with errors_as_messages():
        path = connector_files.remove_connector(open_home(data_dir), connector_id)
    out.print(
        f"{connector_id} is no longer in {path}. Its tickets stay; never use its id for another "
        "source.",
        markup=False,
        soft_wrap=True,
    )


@connector.command()
def link(
    connector_id: ConnectorId,
    ext_ref_code: Code,
    unit: Annotated[str, typer.Option(help="Unit whose tickets the code names.")],
    site: Annotated[
        str | None, typer.Option(help="Site of the unit, where several have one of that id.")
    ] = None,
    from_day: Annotated[
        str | None, typer.Option("--from", help="First local day; default: ever since.")
    ] = None,
    to_day: Annotated[
        str | None, typer.Option("--to", help="First local day on which it no longer holds.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Link a code of a connector to a unit, in the space file of its site."""
    with errors_as_messages():
        workspace = open_home(data_dir)
        try:
            linked = Link(
                connector=connector_id,
                ext_ref_code=ext_ref_code,
                unit=unit,
                valid_from=day_option(from_day) if from_day else None,
                valid_to=day_option(to_day) if to_day else None,
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError(
                f"The link of {ext_ref_code!r} is wrong: {plain(first['type'], first['msg'])}. "
                "Nothing was linked.",
                code="E_SPACE",
            ) from error
        path = connector_files.add_link(workspace, linked, site)
    out.print(f"{ext_ref_code} of {connector_id} is linked to {unit} in {path.name}.", markup=False)
    if linked.valid_from is None:
        err.print("It holds for all time; --from DAY says since when.", markup=False)


@connector.command()
def unlink(
    connector_id: ConnectorId,
    ext_ref_code: Code,
    to_day: Annotated[
        str | None,
        typer.Option("--to", help="First local day on which it no longer holds; default: today."),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the link as if it had never been.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """End the link of a code; tickets of the time before stay with the unit."""
    with errors_as_messages():
        workspace = open_home(data_dir)
        last = day_option(to_day) if to_day else workspace.clock().date()
        path = connector_files.end_link(
            workspace, connector_id, ext_ref_code, None if remove else last
        )
    until = "was removed" if remove else f"ends on {last}"
    out.print(f"The link of {ext_ref_code} {until} in {path.name}.", markup=False)


def _class_of(kind: str) -> type[ConnectorBase]:
    if kind not in KINDS:
        raise ConfigError(
            f"There is no connector of kind {kind!r}. Nothing was written. The kinds are: "
            f"{', '.join(KINDS)}.",
            code="E_CONNECTOR_KIND",
        )
    return KINDS[kind]


def _completed(kind: type[ConnectorBase], given: Entry) -> Entry:
    """Ask for what was not given and a connector of this kind cannot do without."""
    absence = f"{kind.absent_question} is: zero (nothing was sold), missing (unknown)"
    questions = {**kind.questions, "absent_means": absence[0].upper() + absence[1:]}
    answered = {name: _answered(given, name, asks) for name, asks in questions.items()}
    return {**answered, **given}


def _answered(given: Entry, name: str, question: str) -> object:
    if name in given:
        return given[name]
    if not sys.stdin.isatty():
        option = f"--{name.replace('_', '-')}" if name in _OPTIONS else f"--set {name}=VALUE"
        raise ConfigError(
            f"{option} is missing, and nobody can be asked here. Nothing was written. Give it.",
            code="E_CONNECTOR_SETTING",
        )
    return str(typer.prompt(question))


def _settings(given: list[str] | None) -> Entry:
    values: Entry = {}
    for text in given or []:
        name, equals, written = text.partition("=")
        if not equals or name in ("id", "kind", ""):
            raise _no_setting("one of them is no NAME=VALUE, or names id or kind")
        try:
            value = yaml.safe_load(written)
        # PyYAML reads 2026-02-30 as a date without asking whether there is one
        except (yaml.YAMLError, ArithmeticError, LookupError, ValueError) as error:
            raise _no_setting(f"the value of {name} cannot be read") from error
        if not isinstance(value, str | int | float | bool | date):
            raise _no_setting(f"the value of {name} is no text, number, day, true or false")
        values[name] = value
    return values


def _no_setting(why: str) -> ConfigError:
    # no value is repeated: a token may have been given by mistake
    return ConfigError(
        f"The settings cannot be taken: {why}. Nothing was written. Write them like --set "
        "read_timeout_s=60; docs/how-to/connect-a-till.md lists them.",
        code="E_CONNECTOR_SETTING",
    )
