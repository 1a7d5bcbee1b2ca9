"""`ksi sandbox`: the fake POS API, to try connectors against."""

from pathlib import Path
from typing import Annotated

import typer

from ksi_pipeline.cli.console import errors_as_messages, out, progress_bar
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.sandbox.folder import require_own_folder
from ksi_pipeline.sandbox.home import simulate_mall, write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.sandbox.space_file import require_own_connectors
from ksi_pipeline.settings import secret
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.lock import only_run

_TOKEN_ENV = "KSI_POS_MAIN_TOKEN"


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
) -> None:
    """Serve the hourly ticket API of a simulated mall, or of a file, until interrupted."""
    with errors_as_messages():
        feed = _simulated(data_dir) if rows is None else rows
        token = secret(_TOKEN_ENV) or "sandbox"
        api = PosApi(feed, token=token, port=port, on_request=lambda line: out.print(line))
        is_written = rows is None and _point_at(data_dir, api.url)
    out.print(f"Serving {feed} at {api.url} (stop with Ctrl-C).", markup=False)
    if secret(_TOKEN_ENV) is None:
        out.print(f"Bearer token: sandbox (set {_TOKEN_ENV} to choose another)")
    out.print(
        f"{data_dir / 'connectors.yaml'} says:" if is_written else "In connectors.yaml:",
        markup=False,
        soft_wrap=True,
    )
    out.print(
        f"  - {{id: pos-main, kind: hourly_api, url: {api.url}, token_env: {_TOKEN_ENV}, "
        "absent_means: missing, allow_http: true, allow_private: true, active: true}",
        markup=False,
        soft_wrap=True,
    )
    try:
        api.serve_forever()
    except KeyboardInterrupt:
        out.print("Stopped.")


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
