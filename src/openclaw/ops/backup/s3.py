"""Backups in a bucket, by botocore (extra `aws`): its chain finds the credentials, as for every AWS program.

What it sends goes by the egress door (`net.aws`): class `artifacts`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

from openclaw.base.errors import InvalidRequest, NotFound, NotSupported, Unavailable
from openclaw.net.aws import apart, lead
from openclaw.net.http import Timeouts
from openclaw.net.pinned import Carrier
from openclaw.net.way import Door
from openclaw.ops.backup.destination import MAX_LISTED, S3, nothing
from openclaw.ops.backup.retention import Stored, newest_first, stored
from openclaw.ops.backup.tape import PIECE, new_file

Sse = Literal["AES256", "aws:kms", "none"]
PART_BYTES: Final = 16 * 1024 * 1024
"""Size of a part, and the size from which an archive goes up in parts."""
MAX_PARTS: Final = 10_000
_TIMEOUTS: Final = Timeouts(connect=10.0, first_byte=900.0, idle=60.0, total=6 * 3600.0)
"""The first byte of an answer comes after the last one of a part, on however slow a line."""


class Bucket:
    """One prefix of a bucket. The store encrypts what it keeps (`sse`), unless it is told not to."""

    def __init__(
        self,
        url: str,
        *,
        sse: Sse = "AES256",
        kms_key: str = "",
        part_bytes: int = PART_BYTES,
        door: Door | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        bucket, _, prefix = url.removeprefix(S3).partition("/")
        if not url.startswith(S3) or not bucket:
            raise InvalidRequest(f"not a place in S3: {url[:80]!r}", hint="Write s3://BUCKET/PREFIX.")
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._part_bytes = part_bytes
        self._sealed: dict[str, str] = {} if sse == "none" else {"ServerSideEncryption": sse}
        if sse == "aws:kms" and kms_key:
            self._sealed["SSEKMSKeyId"] = kms_key
        self._door = door
        self._carrier = carrier

    @property
    def place(self) -> str:
        """See Destination."""
        return f"{S3}{self._bucket}/{self._prefix}"

    def put(self, archive: Path, go_on: Callable[[], None] = nothing) -> str:
        """See Destination. A large archive goes up in parts; parts of one that failed are given back."""
        where = {"Bucket": self._bucket, "Key": self._prefix + archive.name}
        with self._told("storing") as client:
            if archive.stat().st_size < self._part_bytes:
                client.put_object(**where, Body=archive.read_bytes(), **self._sealed)
            else:
                self._put_parts(client, archive, where, go_on)
        return f"{S3}{self._bucket}/{where['Key']}"

    def _put_parts(self, client: Any, archive: Path, where: dict[str, str], go_on: Callable[[], None]) -> None:
        size = max(self._part_bytes, -(-archive.stat().st_size // MAX_PARTS))
        upload = {**where, "UploadId": client.create_multipart_upload(**where, **self._sealed)["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            with archive.open("rb") as file:
                while data := file.read(size):
                    go_on()
                    number = len(parts) + 1
                    tag = client.upload_part(**upload, PartNumber=number, Body=data)["ETag"]
                    parts.append({"PartNumber": number, "ETag": tag})
            client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            client.abort_multipart_upload(**upload)
            raise

    def list(self) -> list[Stored]:
        """See Destination."""
        found: list[Stored] = []
        with self._told("listing") as client:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, PaginationConfig={"MaxItems": MAX_LISTED}
            )
            for page in pages:
                for each in page.get("Contents", ()):
                    kept = stored(each["Key"].removeprefix(self._prefix), each["Size"])
                    if kept is not None:
                        found.append(kept)
        return newest_first(found)

    def fetch(self, name: str, target: Path) -> None:
        """See Destination."""
        with self._told("fetching") as client:
            body = client.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"]
            with os.fdopen(new_file(target), "wb") as copy:
                while data := body.read(PIECE):
                    copy.write(data)

    def delete(self, name: str) -> None:
        """See Destination."""
        with self._told("deleting") as client:
            client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        config = _load("botocore.config").Config(retries={"mode": "standard"})
        session = _load("botocore.session").Session()
        with apart(self._door, self._carrier) as (http, wait):
            lead(session, http, wait, "backup", _TIMEOUTS)
            yield session.create_client("s3", config=config)

    @contextmanager
    def _told(self, what: str) -> Iterator[Any]:
        """Open a client of botocore for one piece of work, and map its failures to ours."""
        errors = _load("botocore.exceptions")
        try:
            with self._client() as client:
                yield client
        except errors.ClientError as error:
            said = error.response.get("Error", {})
            code, message = str(said.get("Code", "")), str(said.get("Message", ""))[:200]
            if code in ("NoSuchKey", "NoSuchBucket", "404"):
                raise NotFound(f"{what} in {self.place}: there is no such backup or bucket ({code})") from None
            raise Unavailable(
                f"{what} in {self.place}: {code}: {message}", hint="Check the bucket's policy and region."
            ) from None
        except errors.BotoCoreError as error:
            raise Unavailable(
                f"{what} in {self.place}: {str(error)[:300]}",
                hint="Check the AWS credentials, the region (AWS_REGION) and the network.",
            ) from None


def _load(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise NotSupported("S3 needs botocore", hint="Install it: pip install 'openclaw-gateway[aws]'") from None
