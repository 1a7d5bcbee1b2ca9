"""What stands in for Redshift: PostgreSQL behind a proxy that does what only Redshift can.

It takes the start-up parameters that only Redshift knows, leaves out where Redshift lays rows, and
runs COPY from S3 as Redshift does: columns by position, and of the table's types. It keeps no
SQL of its own: every statement that it gets is recorded.
"""

import io
import json
import re
import socket
import struct
import threading
from contextlib import suppress

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

_KNOWN = {b"user", b"database", b"application_name", b"client_encoding", b"options"}
_SSL_REQUEST = 80877103
_SASL = struct.pack("!I", 10)
_COPY = re.compile(
    r'copy (?P<table>"\w+"\."\w+") from \'s3://(?P<bucket>[^/]+)/(?P<key>[^\']+)\' '
    r"iam_role '(?P<role>[^']+)' format as parquet manifest"
)
# what PostgreSQL does not know, and what it says instead
_WORDS = (
    (re.compile(r' diststyle (?:all|even|key distkey \("\w+"\))'), ""),
    (re.compile(r' compound sortkey \("\w+"(?:, "\w+")*\)'), ""),
    (
        re.compile(
            r"datediff\(microsecond, timestamp '1970-01-01', ((?:min|max)\(\"\w+\"\)|\"\w+\")\)"
        ),
        r"cast(extract(epoch from \1) * 1000000 as bigint)",
    ),
    (re.compile(r"datediff\(day, date '1970-01-01', (\"\w+\")\)"), r"(\1 - date '1970-01-01')"),
)
_TYPES = {
    "character varying": pa.string(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    # instants are INT96, which are read as nanoseconds
    "timestamp without time zone": pa.timestamp("ns"),
}


class Refused(Exception):
    """What Redshift says no with."""


class RedshiftProxy:
    """Listens on a port of 127.0.0.1 for as long as the block takes.

    Attributes:
        statements: all that came, in order.
        users: that logged in.
        role: that COPY may name.
        cut_copies: how many COPYs from now on end with the connection.
    """

    def __init__(self, postgres, s3, role, tls=None):
        self.postgres, self.s3, self.role, self.tls = postgres, s3, role, tls
        self.statements, self.users, self.copied, self.cut_copies = [], [], [], 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _listen(self):
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with suppress(OSError, EOFError), client:
            start = _block(client)
            if struct.unpack("!I", start[:4])[0] == _SSL_REQUEST:
                client.sendall(b"S" if self.tls else b"N")
                if self.tls:
                    client = self.tls.wrap_socket(client, server_side=True)
                start = _block(client)
            with socket.create_connection(("127.0.0.1", self.postgres.port)) as server:
                for one in (client, server):
                    # messages are passed on one by one
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                database = self._start(start, server)
                back = threading.Thread(target=_answer, args=(server, client), daemon=True)
                back.start()
                try:
                    self._pass_on(client, server, database)
                finally:
                    # wakes the thread that reads from it
                    with suppress(OSError):
                        server.shutdown(socket.SHUT_RDWR)
                    with suppress(OSError):
                        client.shutdown(socket.SHUT_RDWR)
                    back.join()

    def _start(self, start, server):
        words = start[4:].rstrip(b"\0").split(b"\0")
        told = {k: v for k, v in zip(words[::2], words[1::2], strict=True) if k in _KNOWN}
        self.users.append(told[b"user"].decode())
        body = start[:4] + b"".join(k + b"\0" + v + b"\0" for k, v in told.items()) + b"\0"
        server.sendall(struct.pack("!I", len(body) + 4) + body)
        return told[b"database"].decode()

    def _pass_on(self, client, server, database):
        while True:
            kind = _exactly(client, 1)
            body = _block(client)
            if kind == b"P":
                name, query, rest = body.split(b"\0", 2)
                said = query.decode()
                self.statements.append(said)
                if copy := _COPY.fullmatch(said):
                    if self.cut_copies:
                        self.cut_copies -= 1
                        return
                    said = self._copy(database, copy)
                for pattern, word in _WORDS:
                    said = pattern.sub(word, said)
                body = b"\0".join((name, said.encode(), rest))
            server.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def _copy(self, database, copy):
        """Load, and give the statement that tells the outcome."""
        try:
            with self.postgres.connection(database) as connection:
                self._load(connection, copy)
        except Refused as error:
            said = str(error).replace("'", "''")
            return (
                f"do $$ begin raise exception using errcode = 'XX000', message = '{said}'; end $$"
            )
        return "do $$ begin end $$"

    def _load(self, connection, copy):
        if copy["role"] != self.role:
            raise Refused(f"User x is not authorized to assume IAM Role {copy['role']}")
        manifest = json.loads(self._read(copy["bucket"], copy["key"]))
        schema, table = copy["table"].replace('"', "").split(".")
        wanted = connection.execute(
            "select data_type, numeric_precision, numeric_scale from information_schema.columns "
            "where table_schema = %s and table_name = %s order by ordinal_position",
            (schema, table),
        ).fetchall()
        for entry in manifest["entries"]:
            bucket, _, key = entry["url"].removeprefix("s3://").partition("/")
            content = self._read(bucket, key)
            if len(content) != entry["meta"]["content_length"]:
                raise Refused("Spectrum Scan Error: the file has another length than the manifest")
            rows = pq.read_table(io.BytesIO(content))
            self.copied.append((key, rows))
            _require_types(rows, wanted)
            text = io.BytesIO()
            pa_csv.write_csv(rows, text, pa_csv.WriteOptions(include_header=False))
            with connection.cursor().copy(f"copy {copy['table']} from stdin (format csv)") as to:
                to.write(text.getvalue())

    def _read(self, bucket, key):
        try:
            return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.s3.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            raise Refused(f"S3ServiceException:{code},Status 403,Error {code}") from error


def _require_types(rows, wanted):
    types = [_TYPES.get(kind) or pa.decimal128(digits, scale) for kind, digits, scale in wanted]
    if [field.type for field in rows.schema] != types:
        raise Refused("Spectrum Scan Error: incompatible Parquet schema for a column")


def _answer(server, client):
    """Send back what the server says, as if it were as old as Redshift."""
    with suppress(OSError, EOFError):
        while True:
            kind = _exactly(server, 1)
            body = _block(server)
            if kind == b"S" and body.startswith(b"server_version\0"):
                body = b"server_version\x008.0.2\0"
            if kind == b"R" and body[:4] == _SASL:
                # the driver takes the end of the list for one more way to log in
                body = body[:-1]
            client.sendall(kind + struct.pack("!I", len(body) + 4) + body)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _block(one):
    return _exactly(one, struct.unpack("!I", _exactly(one, 4))[0] - 4)


def _exactly(one, count):
    found = bytearray()
    while len(found) < count:
        more = one.recv(count - len(found))
        if not more:
            raise EOFError
        found += more
    return bytes(found)
