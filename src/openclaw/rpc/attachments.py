"""What a client may attach to a message: images, as base64 or data URLs."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from openclaw.base.errors import InvalidRequest, TooLarge
from openclaw.base.message import ImagePart, Message, Part, TextPart
from openclaw.rpc.hello import MAX_IMAGE_BYTES

MAX_ATTACHMENTS: Final = 20
_IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")


class Attachment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A file as clients send it; they may say more about it than we need."""

    type: str = ""
    mime_type: str = ""
    file_name: str = ""
    content: Any = None


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
    if not isinstance(item.content, str) or not item.content:
        raise InvalidRequest(f"{where}/content: must be base64 text")
    mime, data = item.mime_type.lower(), item.content
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        mime = mime or head[5:].partition(";")[0].lower()
    if mime not in _IMAGE_TYPES:
        raise InvalidRequest(
            f"{where}: only images can be attached ({', '.join(_IMAGE_TYPES)}), not {mime or 'unnamed'}"
        )
    if len(data) * 3 // 4 > MAX_IMAGE_BYTES + 2:
        raise TooLarge(f"{where}: image is over {MAX_IMAGE_BYTES} bytes")
    try:
        b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{where}/content: must be base64 text") from None
    return ImagePart(media_type=mime, data=data)
