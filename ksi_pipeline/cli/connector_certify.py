"""`ksi connector certify`: a report on a till system's API, for whoever writes it."""

from dataclasses import asdict
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError
from rich.markup import escape

from ksi_pipeline.cli.connector import connector
from ksi_pipeline.cli.console import (
    DATA_SAYS_NO,
    FROM_TIME,
    TO_TIME,
    AsJson,
    errors_as_messages,
    instant_option,
    out,
    print_json,
)
from ksi_pipeline.connectors.certify import Finding, Prober
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import DAY, Window, aligned_to_hours, hour_start_utc
from ksi_pipeline.defs.workspace import now_utc
from ksi_pipeline.http import HttpClient
from ksi_pipeline.settings import secret

_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


@connector.command()
def certify(
    url: Annotated[str, typer.Argument(help="Without fromTime, toTime and ext_ref_codes.")],
    token_env: Annotated[
        str, typer.Option(help="NAME of the variable that holds the Bearer token.")
    ],
    code: Annotated[
        list[str], typer.Option(help="ext_ref_code that it knows; two or more are best.")
    ],
    timezone: Annotated[str, typer.Option(help="Zone of the store, like Europe/Madrid.")],
    from_time: Annotated[str | None, FROM_TIME] = None,
    to_time: Annotated[str | None, TO_TIME] = None,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Permit http://, which anyone can read.")
    ] = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Permit an address of the own network.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask an API everything the contract says, and report what its makers have to change."""
    with errors_as_messages():
        config = _config(url, token_env, allow_http=allow_http, allow_private=allow_private)
        zone = _zone(timezone)
        if (from_time is None) != (to_time is None):
            raise ConfigError(
                "--from and --to go together; without both, the last three days are asked for.",
                code="E_DAYS",
            )
        now = hour_start_utc(now_utc(), zone)
        window = Window(now - 3 * DAY, now)
        if from_time is not None and to_time is not None:
            window = Window(instant_option(from_time), instant_option(to_time))
        prober = Prober(
            url=config.url,
            token=config.token(secret),
            http=HttpClient(config.http_limits()),
            codes=tuple(dict.fromkeys(code)),
            zone=zone,
            window=aligned_to_hours(window, zone),
            clock=now_utc,
        )
        findings = list(prober.probe())
    is_passed = all(finding.verdict != "failed" for finding in findings)
    if as_json:
        print_json({"url": url, "is_passed": is_passed, "findings": [asdict(f) for f in findings]})
    else:
        _show(url, findings)
    if not is_passed:
        raise typer.Exit(DATA_SAYS_NO)


def _show(url: str, findings: list[Finding]) -> None:
    out.print(f"Probes of {url}, {now_utc():%Y-%m-%d %H:%M} UTC", markup=False, soft_wrap=True)
    for finding in findings:
        colour = _COLOURS[finding.verdict]
        verdict = f"[{colour}]{finding.verdict:7}[/{colour}]"
        out.print(f"{verdict} {finding.probe}: {escape(finding.said)}", soft_wrap=True)
        if finding.remedy is not None:
            out.print(f"        asked:  GET {finding.asked}", markup=False, soft_wrap=True)
            out.print(f"        change: {finding.remedy}", markup=False, soft_wrap=True)
    counts = [f"{sum(f.verdict == v for f in findings)} {v}" for v in _COLOURS]
    out.print(f"{', '.join(counts)}.")


def _config(url: str, token_env: str, *, allow_http: bool, allow_private: bool) -> HourlyApiConfig:
    """Let an address be judged as in connectors.yaml; no value is repeated."""
    try:
        return HourlyApiConfig(
            id="certify",
            kind="hourly_api",
            url=url,
            token_env=token_env,
            allow_http=allow_http,
            allow_private=allow_private,
            max_attempts=1,
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        setting = "--token-env" if first["loc"] == ("token_env",) else "The url"
        is_ours = first["type"].startswith("E_")
        said = first["msg"] if is_ours else "an upper-case name of a variable, not the token"
        raise ConfigError(
            f"{setting} cannot be used: {said}. Nothing was asked.",
            code=first["type"] if is_ours else "E_CONNECTOR_SETTING",
        ) from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"{name!r} is no time zone. Nothing was asked. Write it like Europe/Madrid.",
            code="E_NOTHING_TO_ASK",
        ) from error
