"""A till that answers every request with the bytes it was given, right or wrong."""

import socketserver
import threading
from types import TracebackType


class RawTill:
    """As a context manager it answers from threads until the block ends.

    Attributes:
        reply: sent to every request; then the connection closes.
        asked: the bytes of each request.
    """

    def __init__(self, reply: bytes = b"") -> None:
        self.reply = reply
        self.asked: list[bytes] = []
        till = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                sent = b""
                while b"\r\n\r\n" not in sent and (piece := self.request.recv(65536)):
                    sent += piece
                till.asked.append(sent)
                try:
                    self.request.sendall(till.reply)
                except (BrokenPipeError, ConnectionResetError):
                    return  # whoever asked had enough

        socketserver.ThreadingTCPServer.daemon_threads = True
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """The endpoint, as a connector's url."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/sales"

    def __enter__(self) -> "RawTill":
        serve = {"poll_interval": 0.02}
        threading.Thread(target=self._server.serve_forever, kwargs=serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
