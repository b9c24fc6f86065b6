"""What a client may attach to a message: images, as base64 or data URLs."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from openclaw.base.errors import InvalidRequest, TooLarge
from openclaw.base.message import ImagePart, Message, Part, TextPart
from openclaw.rpc.hello import MAX_IMAGE_BYTES

MAX_ATTACHMENTS: Final = 20
_MARKS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The content as some clients nest it."""

    data: str = ""


class Attachment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A file as clients send it, in `content` or in `source`; they may say more about it than we need."""

    type: str = ""
    mime_type: str = ""
    file_name: str = ""
    content: Any = None
    source: Source | None = None


def user_message(text: str, attachments: Sequence[Attachment], what: str) -> Message:
    """Return the user's message. Raises: InvalidRequest when it is empty, TooLarge for a big image."""
    if "\x00" in text:
        raise InvalidRequest(f"invalid {what} params: message must not contain null bytes")
    if len(attachments) > MAX_ATTACHMENTS:
        raise InvalidRequest(f"invalid {what} params: at /attachments: must NOT have more than {MAX_ATTACHMENTS} items")
    parts: list[Part] = [TextPart(text)] if text else []
    parts += [_image(item, index, what) for index, item in enumerate(attachments)]
    if not parts or not (text.strip() or attachments):
        raise InvalidRequest("message or attachment required")
    return Message("user", tuple(parts))


def _image(item: Attachment, index: int, what: str) -> ImagePart:
    where = f"invalid {what} params: at /attachments/{index}"
    data = item.content
    if isinstance(item.source, Source):
        data = item.source.data
    if not isinstance(data, str) or not data:
        raise InvalidRequest(f"{where}/content: must be base64 text")
    if data.startswith("data:"):
        data = data.partition(",")[2]
    if len(data) * 3 // 4 > MAX_IMAGE_BYTES + 2:
        raise TooLarge(f"{where}: image is over {MAX_IMAGE_BYTES} bytes")
    try:
        beginning = a2b_base64(data, strict_mode=True)[:16]
    except ValueError:
        raise InvalidRequest(f"{where}/content: must be base64 text") from None
    kind = image_type(beginning)
    if not kind:
        told = item.mime_type or "a file of unknown type"
        raise InvalidRequest(f"{where}: only PNG, JPEG, GIF and WebP images can be attached, not {told[:64]}")
    return ImagePart(media_type=kind, data=data)


def image_type(beginning: bytes) -> str:
    """Return the media type that an image's first bytes tell, or nothing: what a client says of it may be wrong."""
    if beginning.startswith(b"RIFF") and beginning[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in _MARKS if beginning.startswith(mark)), "")
