"""A proxy of TCP that hangs up in the middle of what is sent."""

import socket
import threading
from contextlib import suppress

_AT_ONCE = 65_536


class CuttingProxy:
    """Passes bytes on to a port of 127.0.0.1 for as long as the block takes.

    Attributes:
        cut_after: bytes of one connection, behind the mark, after which it hangs up; null: never.
        cuts: how often it did.
    """

    def __init__(self, to_port, mark=b"", cut_after=None):
        self.cut_after, self.cuts = cut_after, 0
        self._to_port, self._mark = to_port, mark
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        # wakes who waits in accept
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self):
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._to_port)) as s:
            back = threading.Thread(target=_pump, args=(s, client), daemon=True)
            back.start()
            sent = b""
            while content := client.recv(_AT_ONCE):
                sent += content
                if self._is_enough(sent):
                    self.cuts += 1
                    break
                s.sendall(content)
            for one in (client, s):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            back.join()

    def _is_enough(self, sent):
        at = sent.find(self._mark)
        if self.cut_after is None or at < 0:
            return False
        return len(sent) - at - len(self._mark) > self.cut_after


def _pump(server, client):
    with suppress(OSError):
        while content := server.recv(_AT_ONCE):
            client.sendall(content)
