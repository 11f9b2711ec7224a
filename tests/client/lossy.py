"""A way to the server on which connections get lost: before a request arrives, or its answer."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress


class LossyWay:
    """Passes bytes on to a port. Of three connections one breaks off within its first request, and one
    within its first answer, at a random byte."""

    def __init__(self, port: int, *, seed: int) -> None:
        self._target, self._random = ("127.0.0.1", port), random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target, 5)
        except OSError:
            near.close()
            return
        self.connections += 1
        breaks = self._random.randrange(200)
        request = breaks if self.connections % 3 == 0 else None
        answer = breaks if self.connections % 3 == 1 else None
        onward = threading.Thread(target=_pump, args=(near, far, request), daemon=True)
        onward.start()
        _pump(far, near, answer)
        onward.join()
        near.close()
        far.close()


def _pump(source: socket.socket, sink: socket.socket, left: int | None) -> None:
    """Until one end is closed or the bytes that may pass have passed; then both directions end."""
    with suppress(OSError):
        while left != 0:
            some = source.recv(65536 if left is None else left)
            if not some:
                break
            sink.sendall(some)
            left = None if left is None else left - len(some)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
