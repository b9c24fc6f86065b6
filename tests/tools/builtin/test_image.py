"""Images of the workspace reach models that can see, and only they."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest

from openclaw.base.errors import ToolError
from openclaw.base.message import ImagePart
from openclaw.testing import make_context
from openclaw.testing.action import call_action
from openclaw.tools.action import IMAGE_LIMIT_BYTES
from openclaw.tools.builtin.image import media_type, read_image

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"
KINDS = [
    (PNG, "image/png"),
    (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
    (b"GIF87arest", "image/gif"),
    (b"GIF89arest", "image/gif"),
    (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    (b"RIFF\x00\x00\x00\x00WAVEfmt ", ""),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ""),
    (b"%PDF-1.7", ""),
    (b"", ""),
]


@pytest.mark.parametrize(("data", "kind"), KINDS)
def test_the_first_bytes_say_what_it_is(data: bytes, kind: str) -> None:
    assert media_type(data) == kind


async def _read(folder: Path, path: str, shown: list[ImagePart]) -> str:
    context = msgspec.structs.replace(make_context(folder), show=shown.append)
    return await call_action(read_image, in_context=context, path=path)


@pytest.mark.parametrize(("data", "kind"), [pair for pair in KINDS if pair[1]])
async def test_an_image_goes_along_with_a_text_that_names_it(tmp_path: Path, data: bytes, kind: str) -> None:
    (tmp_path / "photo").write_bytes(data)
    shown: list[ImagePart] = []
    assert await _read(tmp_path, "photo", shown) == f"photo: {kind}, {len(data)} bytes"
    assert shown == [ImagePart(kind, base64.b64encode(data).decode())]


async def test_what_is_no_image_is_not_shown_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    shown: list[ImagePart] = []
    with pytest.raises(ToolError, match="is not a PNG"):
        await _read(tmp_path, "a.png", shown)
    assert shown == []


async def test_an_image_over_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(PNG + bytes(IMAGE_LIMIT_BYTES))
    with pytest.raises(ToolError):
        await _read(tmp_path, "large.png", [])


async def test_no_image_outside_the_workspace_is_shown(tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(PNG)
    inside = tmp_path / "workspace"
    inside.mkdir()
    (inside / "link.png").symlink_to(tmp_path / "out.png")
    for path in ("../out.png", "link.png"):
        with pytest.raises(ToolError):
            await _read(inside, path, [])


async def test_a_model_that_takes_text_only_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(ToolError, match="takes text only"):
        await call_action(read_image, in_context=make_context(tmp_path), path="a.png")
