"""Secrets as values that do not show themselves in a repr, a message or a log."""

import re
from html.entities import html5

from ksi_pipeline.core.errors import ConfigError


class Token:
    """A Bearer token that shows itself only to the request that carries it."""

    __slots__ = ("_escaped", "_value")

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
        self._escaped = re.compile(b"".join(map(_any_spelling, value)))

    def __repr__(self) -> str:
        return "Token(***)"

    def reveal(self) -> str:
        """Give the secret itself, for the Authorization header only."""
        return self._value

    def hide_in(self, text: str) -> str:
        """Blot the secret out of a text that came from outside."""
        return text.replace(self._value, "***")

    def is_in(self, content: bytes) -> bool:
        """Tell whether content from outside holds the secret.

        As it is, in UTF-16, or escaped as JSON, HTML or a URL escape it, wholly or in part. What
        was encoded otherwise, in base64 for example, is not recognized.
        """
        plain = self._value.encode()
        if plain in content or b"\0".join(bytes([byte]) for byte in plain) in content:
            return True
        has_escapes = any(mark in content for mark in (b"\\", b"%", b"&"))
        return has_escapes and self._escaped.search(content) is not None


def _any_spelling(character: str) -> bytes:
    number = ord(character)
    spellings = [
        re.escape(character),
        re.escape("\\" + character),
        f"(?i:%{number:02x})",
        rf"\\u(?i:{number:04x})",
        f"&#0*{number};?",
        f"(?i:&#x0*{number:x};?)",
        *(f"&{name}" for name, meant in html5.items() if meant == character),
    ]
    return f"(?:{'|'.join(spellings)})".encode()
