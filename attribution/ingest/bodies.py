"""The bytes of a request: read and inflated within bounds, never past them."""

from __future__ import annotations

import zlib
from io import BytesIO

import zstandard
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from finops.core.errors import FieldProblem, FinopsError, InvalidInput, TooLarge

MOST_BYTES = 16 * 1024 * 1024
# A larger window would let a few bytes of header reserve as much memory.
_LARGEST_ZSTD_WINDOW = 8 * 1024 * 1024
_CHUNK = 64 * 1024
_MOST_GZIP_MEMBERS = 64


class UnsupportedMedia(FinopsError):
    """A content type or encoding that is not understood."""

    code = "unsupported"
    status = 415
    title = "Unsupported media type"


def read_body(request: HttpRequest) -> bytes:
    """The decoded body, at most ``MOST_BYTES``.

    Raises TooLarge (413), UnsupportedMedia (415) for an unknown encoding, InvalidInput (400) for
    bytes that are not what the encoding says.
    """
    return inflate(_received(request), request.headers.get("Content-Encoding", ""))


def inflate(body: bytes, encoding: str) -> bytes:
    """Undo a Content-Encoding; stops at the limit, however much more there would be."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        inflated = body
    elif encoding in ("gzip", "x-gzip"):
        inflated = _gunzip(body)
    elif encoding == "zstd":
        inflated = _unzstd(body)
    else:
        message = f"Content-Encoding must be gzip or zstd, or absent, not {encoding[:64]!r}."
        raise UnsupportedMedia(message, [FieldProblem("Content-Encoding", "unsupported", message)])
    if len(inflated) > MOST_BYTES:
        raise _too_large()
    return inflated


def _received(request: HttpRequest) -> bytes:
    try:
        if "chunked" in request.headers.get("Transfer-Encoding", ""):
            # Django reads as far as Content-Length says; a chunked body has none.
            return bytes(request.META["wsgi.input"].read(MOST_BYTES + 1))
        return request.body
    except RequestDataTooBig:
        raise _too_large() from None
    except UnreadablePostError as error:
        raise InvalidInput.field("body", "unreadable", "The body ended before it was complete.") from error


def _gunzip(body: bytes) -> bytes:
    """One or several gzip members, as the format allows."""
    parts: list[bytes] = []
    room = MOST_BYTES + 1
    try:
        while body and room > 0:
            if len(parts) == _MOST_GZIP_MEMBERS:
                raise _malformed("gzip", "it has too many members")
            member = zlib.decompressobj(wbits=31)
            part = member.decompress(body, room)
            parts.append(part)
            room -= len(part)
            if room > 0 and not member.eof:
                raise _malformed("gzip", "it ends too early")
            body = member.unused_data
    except zlib.error as error:
        raise _malformed("gzip", str(error)) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unzstd(body: bytes) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_ZSTD_WINDOW)
    parts: list[bytes] = []
    room = MOST_BYTES + 1
    try:
        reader = decompressor.stream_reader(BytesIO(body), read_across_frames=True)
        while room > 0 and (part := reader.read(min(room, _CHUNK))):
            parts.append(part)
            room -= len(part)
    except zstandard.ZstdError as error:
        raise _malformed("zstd", str(error)) from error
    return b"".join(parts)


def _malformed(encoding: str, reason: str) -> InvalidInput:
    return InvalidInput.field("body", "malformed_encoding", f"The body is not valid {encoding}: {reason}.")


def _too_large() -> TooLarge:
    message = f"The body is larger than {MOST_BYTES} bytes (decompressed): send fewer events a request."
    return TooLarge(message, [FieldProblem("body", "too_large", message)])
