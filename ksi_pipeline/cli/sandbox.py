"""`ksi sandbox`: the fake POS API, to try connectors against."""

from pathlib import Path
from typing import Annotated

import typer

from ksi_pipeline.cli.console import errors_as_messages, out, progress_bar
from ksi_pipeline.sandbox.home import simulate_mall
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.settings import secret

_TOKEN_ENV = "KSI_POS_MAIN_TOKEN"


def sandbox(
    rows: Annotated[
        Path | None, typer.Option(help="Feed rows to serve: a JSON or Parquet file.")
    ] = None,
    data_dir: Annotated[
        Path, typer.Option("--dir", help="Folder for the simulated mall, without --rows.")
    ] = Path("demo"),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 8899,
) -> None:
    """Serve the hourly ticket API of a simulated mall, or of a file, until interrupted."""
    with errors_as_messages():
        if rows is None:
            with progress_bar("sandbox") as progress:
                rows = simulate_mall(data_dir, progress=progress).feed_path
        token = secret(_TOKEN_ENV) or "sandbox"
        api = PosApi(rows, token=token, port=port, on_request=lambda line: out.print(line))
    out.print(f"Serving {rows} at {api.url} (stop with Ctrl-C).", markup=False)
    if secret(_TOKEN_ENV) is None:
        out.print(f"Bearer token: sandbox (set {_TOKEN_ENV} to choose another)")
    out.print(
        "In connectors.yaml:\n"
        f"  - {{id: pos-main, kind: hourly_api, url: {api.url}, token_env: {_TOKEN_ENV}, "
        "absent_means: missing, allow_http: true, active: true}",
        markup=False,
        soft_wrap=True,
    )
    try:
        api.serve_forever()
    except KeyboardInterrupt:
        out.print("Stopped.")
