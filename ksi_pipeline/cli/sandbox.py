"""`ksi sandbox`: the fake POS API, to try connectors against."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import typer

from ksi_pipeline.cli.console import errors_as_messages, out, progress_bar
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.sandbox.faults import Chance
from ksi_pipeline.sandbox.feed_file import read_rows
from ksi_pipeline.sandbox.folder import require_own_folder
from ksi_pipeline.sandbox.home import simulate_mall, write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.sandbox.space_file import require_own_connectors
from ksi_pipeline.settings import secret
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.lock import only_run

_TOKEN_ENV = "KSI_POS_MAIN_TOKEN"
_TENANTS_SHOWN = 5


def sandbox(
    rows: Annotated[
        Path | None, typer.Option(help="Feed rows to serve: a JSON or Parquet file.")
    ] = None,
    data_dir: Annotated[
        Path, typer.Option("--dir", help="Folder for the simulated mall, without --rows.")
    ] = Path("demo"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 8899,
    latency_ms: Annotated[int, typer.Option(min=0, help="Waited before every answer.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME:RATE, like 429:0.1 or wrong-hours; again for more."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another one lets faults come elsewhere.")] = 1,
    foreign_codes: Annotated[
        Literal["refuse", "omit"],
        typer.Option(help="What a token that asks for somebody else's code gets: 403, or no rows."),
    ] = "refuse",
) -> None:
    """Serve the hourly ticket API of a simulated mall, or of a file, until interrupted.

    The faults:

    401, 403, 404, 408, 429 (with Retry-After: 1), 500, 502, 503, 504;
    html, a sign-in page; object, the list in a wrapper;
    wrong-hours, times half an hour late; duplicate-hour, the first row twice;
    restate, a ticket too many, until it is asked again;
    drop, cut in the middle; slow, 40 s of silence; huge, 65 MiB.
    """
    with errors_as_messages():
        chance = Chance(fault or (), seed=seed)
        feed = _simulated(data_dir) if rows is None else rows
        listed = read_rows(feed)
        tenants = _tenants(sorted({str(row["ext_ref_code"]) for row in listed}))
        api = PosApi(
            listed,
            token=secret(_TOKEN_ENV) or "sandbox",
            tenants={token: {code} for code, token in tenants.items()},
            is_foreign_refused=foreign_codes == "refuse",
            port=port,
            chance=chance,
            latency_s=latency_ms / 1000,
            on_request=lambda line: out.print(line, markup=False, soft_wrap=True),
        )
        is_written = rows is None and _point_at(data_dir, api.url)
    _say(f"Serving {feed} at {api.url} (stop with Ctrl-C).")
    if fault:
        _say(f"Faults, seed {seed}: {chance} of the answers.")
    _show_next(api.url, tenants, data_dir if is_written else None)
    try:
        api.serve_forever()
    except KeyboardInterrupt:
        out.print("Stopped.")


def _tenants(codes: list[str]) -> dict[str, str]:
    """Give each code the token that may read it alone."""
    return {code: f"sandbox-{quote(code, safe='')}" for code in codes}


def _show_next(url: str, tenants: dict[str, str], home: Path | None) -> None:
    """Say how to set each token and how to connect; a token chosen by hand is not repeated."""
    _say("Tokens, to be set where the pipeline runs:")
    if secret(_TOKEN_ENV) is None:
        _say(f"  export {_TOKEN_ENV}=sandbox   # may read every code")
    else:
        _say(f"  {_TOKEN_ENV} as it is set here   # may read every code")
    for code, token in list(tenants.items())[:_TENANTS_SHOWN]:
        name = re.sub(r"[^A-Z0-9]", "_", code.upper())
        _say(f"  export KSI_POS_{name}_TOKEN={token}   # may read {code} alone")
    if len(tenants) > _TENANTS_SHOWN:
        _say(f"  and so on, one for each of {len(tenants)} codes")
    if home is not None:
        _say(f"{home / 'connectors.yaml'} asks it as pos-main.")
    _say(
        f"To connect it: ksi connector new sandbox-till --url {url} --token-env {_TOKEN_ENV} "
        "--absent-means missing --allow-http --allow-private"
    )


def _say(line: str) -> None:
    out.print(line, markup=False, soft_wrap=True)


def _simulated(home: Path) -> Path:
    """Simulate a mall, while no run works on the folder, and give its feed."""
    require_own_folder(home)
    with only_run(DataHome(home.resolve())), progress_bar("sandbox") as progress:
        return simulate_mall(home, progress=progress).feed_path


def _point_at(home: Path, url: str) -> bool:
    """Write the till's address into connectors.yaml, unless somebody edited that file."""
    try:
        require_own_connectors(home)
    except ConfigError:
        return False
    write_connectors(home, url)
    return True
