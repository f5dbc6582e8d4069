"""Forms as clients send them: file names in the two encodings of older libraries, too."""

from __future__ import annotations

from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value

from starlette.formparsers import MultiPartParser


class NamedParts(MultiPartParser):
    """Takes `filename*=utf-8''Geh%C3%A4use.png` and `filename="=?utf-8?B?R2Vow6R1c2UucG5n?="`, which .NET and older
    versions of Python's requests send, for the names that they are."""

    def on_headers_finished(self) -> None:
        part = self._current_part
        name = encoded_name(part.content_disposition or b"")
        if name is not None:
            part.content_disposition = (part.content_disposition or b"") + b'; filename="file"'
        super().on_headers_finished()
        if name is not None and part.file is not None:
            part.file.filename = name


def encoded_name(disposition: bytes) -> str | None:
    """The file's name in a Content-Disposition where it is encoded; None where there is none or it is plain."""
    if b"filename*" not in disposition.lower() and b"=?" not in disposition:
        return None
    message = Message()
    message["content-disposition"] = disposition.decode("utf-8", "replace").replace("\r", "").replace("\n", "")
    values = [value for key, value in message.get_params([], "content-disposition") if key.lower() == "filename"]
    extended = [value for value in values if isinstance(value, tuple)]
    try:
        if extended:
            return collapse_rfc2231_value(extended[0])
        return str(make_header(decode_header(values[0]))) if values else None
    except (HeaderParseError, LookupError, UnicodeError):  # an encoding that there is none of
        return None
