"""Images of the workspace, shown to models that can see."""

from __future__ import annotations

from openclaw.base.errors import ToolError
from openclaw.tools.action import IMAGE_LIMIT_BYTES, Context, action
from openclaw.tools.builtin.files import FilePath
from openclaw.tools.workspace import Workspace


@action
def read_image(path: FilePath, context: Context) -> str:
    """Look at an image file in the workspace: PNG, JPEG, GIF or WebP."""
    with Workspace(context.workspace) as room:
        data = room.read_bytes(path, IMAGE_LIMIT_BYTES)
    kind = media_type(data)
    if not kind:
        raise ToolError(f"{path!r} is not a PNG, JPEG, GIF or WebP image, whatever its name says.")
    context.show(data, kind)
    return f"{path}: {kind}, {len(data)} bytes"


def media_type(data: bytes) -> str:
    """Return what kind of image the first bytes announce, or "" for none that models take."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return ""
