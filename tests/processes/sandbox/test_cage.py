"""Control groups of jobs: each has one of its own, whatever was left before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openclaw.processes.sandbox.cage import PREFIX, Cages
from openclaw.processes.sandbox.job import Limits

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs control groups")


def test_a_group_that_cannot_be_removed_yet_keeps_no_job_from_getting_one(tmp_path: Path) -> None:
    first, second = Cages(tmp_path), Cages(tmp_path)
    busy = first.make(Limits())
    assert busy is not None
    first.remove(busy)
    assert busy.exists()  # a plain folder is not empty, as a group with processes is busy
    made = {busy, first.make(Limits()), second.make(Limits())}
    assert len(made) == 3
    assert None not in made


def test_what_gateways_have_left_that_are_gone_or_began_again_is_removed(tmp_path: Path) -> None:
    gone = tmp_path / f"{PREFIX}99999999-0123abcd-1"
    again = tmp_path / f"{PREFIX}{os.getpid()}-0123abcd-1"
    other = tmp_path / f"{PREFIX}{os.getppid()}-0123abcd-1"
    for each in (gone, again, other):
        each.mkdir()
    mine = Cages(tmp_path).make(Limits())
    Cages(tmp_path).make(Limits())
    assert [each.exists() for each in (gone, again, other)] == [False, False, True]
    assert mine is not None
    assert mine.exists()
