"""A bound on uploads: what is beyond it is read off the wire and kept nowhere."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, SkipFile


class BoundedUpload(FileUploadHandler):
    """Comes before the handlers that keep files, and lets only so many bytes of a request through to them."""

    def __init__(self, request: Any = None) -> None:  # Any: as Django has it
        super().__init__(request)
        self._seen = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Pass the piece on, or skip the rest of the file. ``request.upload_is_too_large`` says so then."""
        self._seen += len(raw_data)
        if self._seen > settings.IMPORT_MAX_BYTES:
            if self.request is not None:
                self.request.upload_is_too_large = True  # type: ignore[attr-defined]
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The handlers after this one have the file."""
        return
