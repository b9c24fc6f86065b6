"""What the state directory may take of the disk."""

from typing import Annotated

from openclaw.config.schema.leaf import Section, leaf


class QuotaConfig(Section, frozen=True):
    """The most that one kind of file in the state directory may take; the oldest go first, never what is in use."""

    logs_bytes: Annotated[int, leaf("All log files together.", "live", "bytes", ge=1_000_000)] = 200_000_000
    snapshots_bytes: Annotated[int, leaf("Snapshots of configuration and store.", "live", "bytes", ge=1_000_000)] = (
        2_000_000_000
    )
    trash_bytes: Annotated[int, leaf("Files that were replaced or removed.", "live", "bytes", ge=0)] = 500_000_000
    backups_bytes: Annotated[
        int, leaf("Backups kept in the state directory; the newest always stays.", "live", "bytes", ge=1_000_000)
    ] = 10_000_000_000
    media_bytes: Annotated[int, leaf("Pictures, sound and other attachments.", "live", "bytes", ge=0)] = 2_000_000_000
    audit_days: Annotated[int, leaf("Age of the rows of the audit ledger.", "live", "d", ge=1)] = 90
    transcript_days: Annotated[
        int, leaf("Age at which sessions that nobody uses are deleted; 0 = never by itself.", "live", "d", ge=0)
    ] = 0
    ledger_days: Annotated[int, leaf("Age of the model calls in the usage ledger.", "live", "d", ge=62)] = 400


class StorageConfig(Section, frozen=True):
    """How much of the disk the gateway uses, and when it takes no more in."""

    min_free_bytes: Annotated[
        int,
        leaf(
            "Free space below which new messages are refused (503) until there is more; of a disk below 1 GB at most a "
            "tenth.",
            "live",
            "bytes",
            ge=0,
        ),
    ] = 100_000_000
    warn_free_bytes: Annotated[
        int,
        leaf(
            "Free space below which the log and the doctor warn; of a disk below 1 GB at most a tenth.",
            "live",
            "bytes",
            ge=0,
        ),
    ] = 1_000_000_000
    quotas: QuotaConfig = QuotaConfig()
