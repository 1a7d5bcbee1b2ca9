"""The bytes of a kept file, whatever they are packed in, and the encoding of its text."""

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

BLOCK_BYTES = 8 << 20
HEAD_CHARACTERS = 1 << 16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One file as it is kept.

    Attributes:
        path: where its bytes lie; with `.zst` they were packed when they were kept.
        name: under which it was sent; with `.gz` it came packed.
        declared_encoding: of its text; a byte order mark wins.
    """

    path: Path
    name: str
    declared_encoding: str

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Give the bytes from the beginning."""
        kind = "zstd" if self.path.suffix == ".zst" else None
        with pa.input_stream(str(self.path), compression=kind) as stream:
            if self.name.lower().endswith(".gz"):
                with gzip.open(stream) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield stream

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """Give all the bytes at once, for formats that begin at their end."""
        with self.open() as stream:
            yield io.BytesIO(stream.read())

    def encoding(self) -> str:
        """Say which encoding the text is in."""
        with self.open() as stream:
            begin = stream.read(4)
        for mark, encoding in _MARKS:
            if begin.startswith(mark):
                return encoding
        return self.declared_encoding

    def head(self) -> str:
        """Give the first characters."""
        with self.open() as stream:
            # pyarrow's streams lack what TextIOWrapper asks for
            binary = stream if isinstance(stream, gzip.GzipFile) else io.BytesIO(_first(stream))
            text = io.TextIOWrapper(binary, self.encoding(), newline="")
            return text.read(HEAD_CHARACTERS)

    def lines(self) -> Iterator[str]:
        """Yield the lines, without their ends."""
        decoder = codecs.getincrementaldecoder(self.encoding())()
        rest = ""
        with self.open() as stream:
            while block := stream.read(BLOCK_BYTES):
                *whole, rest = (rest + decoder.decode(block)).split("\n")
                yield from whole
        if rest := rest + decoder.decode(b"", final=True):
            yield rest


def _first(stream: IO[bytes]) -> bytes:
    return stream.read(4 * HEAD_CHARACTERS)
