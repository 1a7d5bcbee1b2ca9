"""The bytes of a kept file, whatever they are packed in, and the encoding of its text."""

import codecs
import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

BLOCK_BYTES = 8 << 20
HEAD_CHARACTERS = 1 << 16
_ENCRYPTED = 0x1
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
        name: under which it was sent; with `.gz` or `.zip` it came packed.
        declared_encoding: of its text; a byte order mark wins.
    """

    path: Path
    name: str
    declared_encoding: str

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Give the bytes from the beginning."""
        if self._is_zip:
            with self._archive() as archive, archive.open(_only_member(archive)) as member:
                yield member
            return
        kind = "zstd" if self.path.suffix == ".zst" else None
        with pa.input_stream(str(self.path), compression=kind) as stream:
            if self.name.lower().endswith(".gz"):
                with gzip.open(stream) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield stream

    def inner_name(self) -> str:
        """Give the name of what is packed, which tells its format."""
        if self._is_zip:
            with self._archive() as archive:
                return _only_member(archive).filename
        return self.name[:-3] if self.name.lower().endswith(".gz") else self.name

    @property
    def _is_zip(self) -> bool:
        return self.name.lower().endswith(".zip")

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        # its list of members stands at its end, and it is kept as it came
        with zipfile.ZipFile(self.path) as archive:
            yield archive

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


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Give the one file of an archive; what the Finder of a Mac adds is none."""
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    if len(members) != 1:
        raise zipfile.BadZipFile(f"it holds {len(members)} files; an archive must hold one")
    if members[0].flag_bits & _ENCRYPTED:
        raise zipfile.BadZipFile("it is encrypted; send it without a password")
    return members[0]


def _first(stream: IO[bytes]) -> bytes:
    return stream.read(4 * HEAD_CHARACTERS)
