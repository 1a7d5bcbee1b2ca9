"""The `ksi` command: a thin face, one function for each verb, one file for each noun.

Exit codes: 0 it worked, 1 the data says no, 2 the call or the configuration is wrong, 130 it was
stopped by Ctrl-C or SIGTERM.
"""

import signal

from ksi_pipeline.cli.app import app


def main() -> None:
    """Run the command line."""
    # What a scheduler or `docker stop` sends is an interrupt like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()


__all__ = ["app", "main"]
