"""Secrets as values that do not show themselves in a repr, a message or a log."""

from ksi_pipeline.core.errors import ConfigError


class Token:
    """A Bearer token that shows itself only to the request that carries it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Keep a token.

        Raises:
            ConfigError: E_TOKEN_INVALID when it is empty or could break the header it stands in.
        """
        if not value or not all("!" <= character <= "~" for character in value):
            raise ConfigError(
                "The token is empty or holds a blank, a line break or a character outside ASCII, "
                "so it cannot stand in a header. Copy it again without quotes or line breaks.",
                code="E_TOKEN_INVALID",
            )
        self._value = value

    def __repr__(self) -> str:
        return "Token(***)"

    def reveal(self) -> str:
        """Give the secret itself, for the Authorization header only."""
        return self._value

    def hide_in(self, text: str) -> str:
        """Blot the secret out of a text that came from outside."""
        return text.replace(self._value, "***")
