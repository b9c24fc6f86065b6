"""Backups that the gateway makes by itself."""

from typing import Annotated, Literal

from openclaw.base.secret import Secret
from openclaw.config.schema.leaf import Section, leaf


class BackupConfig(Section, frozen=True):
    """When backups are made, where they are kept, for how long, and under which passphrase."""

    every: Annotated[
        str,
        leaf(
            "How often a backup is made, e.g. 12h or 1d; empty = not by interval.",
            "live",
            pattern="^([0-9]{1,6}[mhd])?$",
        ),
    ] = ""
    cron: Annotated[
        str,
        leaf("When a backup is made, as a cron expression in UTC; used when `every` is empty.", "live", max_length=200),
    ] = ""
    destination: Annotated[
        str,
        leaf(
            "Folder, s3://BUCKET/PREFIX or ssh://USER@HOST/FOLDER that keeps backups; empty = <state>/backups.", "live"
        ),
    ] = ""
    keep: Annotated[
        str,
        leaf(
            "What is kept: an age (30d; h, d, w, m, y) or a number; empty = all.",
            "live",
            pattern="^([1-9][0-9]{0,5}[hdwmy]?)?$",
        ),
    ] = "30d"
    passphrase: Annotated[
        Secret | None, leaf("Encrypts every backup (age, scrypt); without it no backup can be read.", "live")
    ] = None
    upload_max_bytes: Annotated[
        int, leaf("Largest backup that /setup takes to restore.", "live", "bytes", ge=1_000_000)
    ] = 2_000_000_000
    workspace: Annotated[bool, leaf("Whether the agents' workspaces are in it.", "live")] = True
    sse: Annotated[
        Literal["AES256", "aws:kms", "none"],
        leaf("How S3 encrypts what it keeps; `none` for stores without it.", "live"),
    ] = "AES256"
    ssh_key: Annotated[str, leaf("Private key for ssh://; empty = those of the gateway's user.", "live")] = ""
    ssh_known_hosts: Annotated[
        str, leaf("File of the hosts that ssh:// may go to; empty = that of the gateway's user.", "live")
    ] = ""
    kms_key: Annotated[str, leaf("KMS key for `aws:kms`; empty = the account's own.", "live")] = ""
