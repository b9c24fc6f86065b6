"""Backups in a bucket: a real server (moto's), real botocore."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest, NotFound, Unavailable
from openclaw.ops.backup.create import name_of
from openclaw.ops.backup.restore import restore_to
from openclaw.ops.backup.s3 import Bucket
from tests.ops.backup.house import NOW_MS, PASSPHRASE, backups_of, tree

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 of this module's own."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket's client, and an environment in which botocore finds it and nothing else."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="kept")
    for found in client.list_objects_v2(Bucket="kept").get("Contents", ()):
        client.delete_object(Bucket="kept", Key=found["Key"])
    return client


def archive_of(folder: Path, size: int) -> Path:
    archive = folder / name_of(NOW_MS, encrypted=False)
    archive.write_bytes(bytes(number % 256 for number in range(size)))
    return archive


async def test_an_archive_goes_there_encrypted_and_comes_back(bucket: Any, tmp_path: Path) -> None:
    place = Bucket("s3://kept/home/")
    archive = archive_of(tmp_path, 1_000)
    assert place.put(archive) == f"s3://kept/home/{archive.name}"
    assert bucket.head_object(Bucket="kept", Key=f"home/{archive.name}")["ServerSideEncryption"] == "AES256"
    bucket.put_object(Bucket="kept", Key="home/notes.txt", Body=b"mine")
    (found,) = place.list()
    assert (found.name, found.size) == (archive.name, 1_000)
    place.fetch(found.name, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == archive.read_bytes()
    place.delete(found.name)
    assert place.list() == []


async def test_a_large_archive_goes_up_in_parts(bucket: Any, tmp_path: Path) -> None:
    part = 5 * 1024 * 1024
    place = Bucket("s3://kept", sse="aws:kms", kms_key="alias/mine", part_bytes=part)
    archive = archive_of(tmp_path, 2 * part + 17)
    place.put(archive)
    head = bucket.head_object(Bucket="kept", Key=archive.name)
    assert head["ETag"].strip('"').endswith("-3"), "three parts"
    assert head["ServerSideEncryption"] == "aws:kms"
    place.fetch(archive.name, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == archive.read_bytes()


async def test_parts_of_an_upload_that_failed_are_given_back(bucket: Any, tmp_path: Path) -> None:
    place = Bucket("s3://kept", part_bytes=1_000)
    with pytest.raises(Unavailable, match="EntityTooSmall"):
        place.put(archive_of(tmp_path, 3_000))
    assert "Uploads" not in bucket.list_multipart_uploads(Bucket="kept")
    assert place.list() == []


async def test_what_is_not_there_is_said(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="NoSuchBucket"):
        Bucket("s3://nowhere").list()
    with pytest.raises(NotFound, match="NoSuchKey"):
        Bucket("s3://kept").fetch("openclaw-backup-20270101T000000Z-0a1b2c.tar.gz", tmp_path / "copy")
    with pytest.raises(InvalidRequest, match="not a place in S3"):
        Bucket("s3:///x")


async def test_a_store_that_cannot_be_reached_is_said(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unavailable, match="listing in s3://kept/"):
        Bucket("s3://kept").list()


async def test_a_backup_by_way_of_a_bucket_is_restored(bucket: Any, state: Path, tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    backups = backups_of(state, clock)
    for _ in range(3):
        done = backups.create(parts=backups.parts(), passphrase=lambda: PASSPHRASE, place="s3://kept/home", keep="2")
        clock.advance(3_600)
    assert len(done.pruned) == 1
    found = backups.find("latest", "s3://kept/home")
    assert not isinstance(found, Path)
    target, kept = found
    target.fetch(kept.name, tmp_path / kept.name)
    assert done.where == f"s3://kept/home/{kept.name}"
    restore_to(tmp_path / kept.name, tmp_path / "fresh", PASSPHRASE)
    assert tree(tmp_path / "fresh")["workspace/notes/a.txt"] == tree(state)["workspace/notes/a.txt"]
