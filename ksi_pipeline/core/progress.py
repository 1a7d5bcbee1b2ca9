"""How long work tells how far it is."""

from collections.abc import Callable

# What is done now, and the share of all that is done, from 0 to 1.
Progress = Callable[[str, float], None]


def no_progress(_what: str, _share: float) -> None:
    """Show nothing."""
