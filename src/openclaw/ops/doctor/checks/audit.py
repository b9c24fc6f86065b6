"""The audit ledger: its chain holds, and is the one whose heads are in the log."""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from openclaw.base.audit import Head
from openclaw.base.errors import OpenClawError
from openclaw.ops.audit_heads import heads_in
from openclaw.ops.doctor.scene import Finding, Scene
from openclaw.store.audit import Verification, differing, in_file, is_kept, verify

_EVIDENCE = "Keep this store as evidence, restore a backup, and ask who could write the file."


def chain_findings(scene: Scene) -> Iterator[Finding]:
    """Report rows that were changed or lost, and a chain that is another than the log has seen."""
    path = scene.paths.db_path
    heads = heads_in(scene.paths.logs_dir)

    def look(db: apsw.Connection) -> tuple[Verification, Head | None] | None:
        return (verify(db), differing(db, heads)) if is_kept(db) else None

    try:
        told = in_file(path, look) if path.is_file() else None
    except OpenClawError as error:
        yield Finding(id="audit.chain", severity="error", evidence=error.message, fix=_EVIDENCE)
        return
    if told is None:
        if heads:
            seen = f"{path} has no audit ledger, and the log has seen one: it was taken out, or the store is another"
            yield Finding(id="audit.head", severity="error", evidence=seen, fix=_EVIDENCE)
        return
    found, other = told
    if found.problem:
        seen = f"the chain of the audit ledger is broken: {found.problem}"
        yield Finding(id="audit.chain", severity="error", evidence=seen, fix=_EVIDENCE)
    elif other is not None:
        seen = f"the log has another row {other.seq} of the audit ledger than the store: the chain was replaced"
        fix = f"{_EVIDENCE} A restore of an older backup does this too: then set the old logs aside."
        yield Finding(id="audit.head", severity="error", evidence=seen, fix=fix)
    else:
        seen = f"{found.rows} rows up to {found.head.seq}, none changed; compared with {len(heads)} heads in the log"
        yield Finding(id="audit.chain", severity="ok", evidence=seen)
