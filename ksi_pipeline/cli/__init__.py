"""The `ksi` command: a thin face, one function for each verb, one file for each noun.

Exit codes: 0 it worked, 1 the data says no, 2 the call or the configuration is wrong.
"""

from ksi_pipeline.cli.app import app


def main() -> None:
    """Run the command line."""
    app()


__all__ = ["app", "main"]
