"""One request at a time over one kept connection; nothing but the standard library."""

from __future__ import annotations

import codecs
import http.client
import os
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlsplit

from finops_client.compression import WORTH_IT, compressor

# Looked up by the first connection: a fork in the middle of that leaves a child without it for good.
codecs.lookup("idna")


class Unreachable(Exception):
    """No answer: it is unknown whether the server has the records."""


@dataclass(frozen=True)
class Answer:
    """What came back; ``retry_after`` in seconds where the server said so."""

    status: int
    body: bytes
    retry_after: float | None


class Transport:
    """Posts bodies to one server. Not for use by two threads at once."""

    def __init__(self, url: str, key: str, *, compression: str, agent: str) -> None:
        """Raises ValueError for an address that is not http or https."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be the server's address, such as https://finops.example.com")
        if not key.isascii() or not key.isprintable():
            raise ValueError("key must be printable ASCII")
        self._host, self._port = parts.hostname, parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._prefix = parts.path.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": agent,
        }
        self._compressor: tuple[str, Callable[[bytes], bytes]] | None = compressor(compression)
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, timeout: float) -> Answer:
        """Send it. Raises Unreachable when no whole answer comes.

        A kept connection may have been closed meanwhile; then it is tried once more on a new one.
        """
        headers = dict(self._headers)
        if self._compressor is not None and len(body) >= WORTH_IT:
            headers["Content-Encoding"], compress = self._compressor
            body = compress(body)
        kept = self._connection is not None
        try:
            return self._exchange(path, body, headers, timeout)
        except (ConnectionError, http.client.BadStatusLine) as error:
            if not kept:
                raise Unreachable(str(error) or type(error).__name__) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error) or type(error).__name__) from error
        try:
            return self._exchange(path, body, headers, timeout)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error) or type(error).__name__) from error

    def stop_compressing(self) -> bool:
        """Send bodies as they are from now on; whether that makes a difference."""
        made_one = self._compressor is not None
        self._compressor = None
        return made_one

    def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()

    def forget(self) -> None:
        """In a forked child: let go of the parent's connection without touching its buffers, whose locks a
        thread of the parent may have held."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                os.close(connection.sock.detach())

    def _exchange(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        connection = self._connection = self._connection or self._connect(timeout)
        try:
            connection.timeout = timeout
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            # A server that will not read so much answers and hangs up; its answer is worth having.
            with suppress(BrokenPipeError):
                connection.request("POST", self._prefix + path, body, dict(headers))
            response = connection.getresponse()
            content = response.read()
            answer = Answer(response.status, content, _retry_after(response.headers.get("Retry-After")))
        except BaseException:
            self.close()
            raise
        if connection.sock is None:
            self._connection = None
        return answer

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)


def _retry_after(said: str | None) -> float | None:
    """Seconds to wait, whether they were given as such or as a date."""
    if not said:
        return None
    with suppress(ValueError, OverflowError):
        return max(float(said), 0.0) if said.strip().isdigit() else _until(said)
    return None


def _until(date: str) -> float:
    return max(parsedate_to_datetime(date).timestamp() - time(), 0.0)
