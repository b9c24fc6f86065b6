"""The carrier: plans by execve, redirections that follow no link, and nothing left when it goes."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import msgspec
import psutil
import pytest

from openclaw.processes.sandbox.carried import Bare
from openclaw.processes.sandbox.job import Limits, Pin, Redirect, Stage, Walls
from openclaw.processes.spawner import Spawner
from tests.processes.sandbox.support import command, job, names, outcome, ran, shell
from tests.processes.waiting import alive, until

pytestmark = pytest.mark.anyio

ESCAPING = "setsid -f sleep 600 </dev/null >/dev/null 2>&1; setsid setsid sleep 601 & echo up; sleep 602"


async def test_stages_run_as_their_joins_say(bare: Bare, workspace: Path, walls: Walls) -> None:
    stages = (
        Stage(commands=(command(workspace, "false"),)),
        Stage(join="and", commands=(command(workspace, "echo", "not this"),)),
        Stage(join="or", commands=(command(workspace, "echo", "this"),)),
        Stage(join="and", commands=(command(workspace, "echo", "and this"),)),
        Stage(commands=(command(workspace, "sh", "-c", "exit 7"),)),
    )
    assert await ran(bare, job(workspace, *stages), walls) == (7, "this\nand this\n")


async def test_a_pipeline_has_the_status_of_its_last_program(bare: Bare, workspace: Path, walls: Walls) -> None:
    stage = Stage(
        commands=(
            command(workspace, "printf", "b\\na\\n"),
            command(workspace, "sort"),
            command(workspace, "sh", "-c", "cat; exit 3"),
        )
    )
    assert await ran(bare, job(workspace, stage), walls) == (3, "a\nb\n")


async def test_no_word_means_anything_to_a_shell(bare: Bare, workspace: Path, walls: Walls) -> None:
    words = ("$(touch canary)", "`touch canary`", "; touch canary", "*", "~", "a\nb", "$HOME")
    status, written = await ran(bare, job(workspace, Stage(commands=(command(workspace, "echo", *words),))), walls)
    assert (status, written) == (0, " ".join(words) + "\n")
    assert names(workspace) == []


async def test_a_program_gets_its_environment_and_nothing_else(
    bare: Bare, workspace: Path, walls: Walls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", "s3cret")
    _, written = await ran(bare, job(workspace, Stage(commands=(command(workspace, "env"),))), walls)
    assert sorted(written.splitlines()) == ["HOME=/nonexistent", "PATH=/usr/bin:/bin"]


async def test_redirections_write_read_append_and_copy(bare: Bare, workspace: Path, walls: Walls) -> None:
    out, more = Redirect(1, "write", "f"), Redirect(1, "append", "f")
    stages = (
        Stage(commands=(command(workspace, "echo", "one", to=(out,)),)),
        Stage(commands=(command(workspace, "sh", "-c", "echo two >&2", to=(more, Redirect(2, "dup", "1"))),)),
        Stage(commands=(command(workspace, "cat", to=(Redirect(0, "read", "f"),)),)),
    )
    assert await ran(bare, job(workspace, *stages), walls) == (0, "one\ntwo\n")


@pytest.mark.parametrize("name", ["link", "folder/f", "../outside", "folder/../../outside"])
async def test_no_redirection_leaves_the_workspace_by_a_link(
    name: str, bare: Bare, workspace: Path, walls: Walls
) -> None:
    outside = workspace.parent / "outside"
    (workspace / "link").symlink_to(outside)
    (workspace / "folder").symlink_to(workspace.parent)
    what = job(workspace, Stage(commands=(command(workspace, "echo", "x", to=(Redirect(1, "write", name),)),)))
    if name.startswith("../"):
        what = job(
            workspace, Stage(commands=(command(workspace, "echo", "x", to=(Redirect(1, "write", f"./{name}"),)),))
        )
    status, written = await ran(bare, what, walls)
    assert status == 126
    assert written.startswith("echo: ")
    assert not outside.exists()
    assert not (workspace.parent / "f").exists()


async def test_nothing_starts_when_a_pinned_path_is_not_what_it_was(bare: Bare, workspace: Path, walls: Walls) -> None:
    file, link = workspace / "f", workspace / "link"
    file.write_text("one")
    link.symlink_to("f")
    pins = (Pin(str(file), str(file), sha256(b"one").hexdigest()), Pin(str(link), str(file), ""))
    what = msgspec.structs.replace(job(workspace, Stage(commands=(command(workspace, "touch", "canary"),))), pins=pins)
    assert await ran(bare, what, walls) == (0, "")
    (workspace / "canary").unlink()
    file.write_text("two")
    assert await ran(bare, what, walls) == (126, f"[not run: {file} changed after it was judged]\n")
    file.write_text("one")
    link.unlink()
    link.symlink_to("other")
    assert await ran(bare, what, walls) == (126, f"[not run: {link} changed after it was judged]\n")
    assert names(workspace) == ["f", "link"]


async def test_a_folder_that_became_a_link_is_not_entered(bare: Bare, workspace: Path, walls: Walls) -> None:
    (workspace / "sub").symlink_to("/etc")
    status, written = await ran(
        bare, job(workspace, Stage(commands=(command(workspace, "ls", cwd=workspace / "sub"),))), walls
    )
    assert status == 126
    assert "passwd" not in written


async def test_what_is_not_there_is_told_as_shells_do(bare: Bare, workspace: Path, walls: Walls) -> None:
    gone = command(workspace, "no-such-program")
    assert await ran(bare, job(workspace, Stage(commands=(gone,))), walls) == (
        127,
        "no-such-program: No such file or directory\n",
    )


async def test_input_goes_to_the_programs_and_ends(bare: Bare, workspace: Path, walls: Walls) -> None:
    running = await bare.start(job(workspace, Stage(commands=(command(workspace, "cat"),)), takes_input=True), walls)
    await running.give(b"hello " * 50_000)
    await running.give(b"end")
    await running.end_input()
    status, written = await outcome(running)
    assert (status, len(written), written[-9:]) == (0, 300_003, "hello end")


async def test_without_input_a_program_reads_nothing(bare: Bare, workspace: Path, walls: Walls) -> None:
    assert await ran(bare, job(workspace, Stage(commands=(command(workspace, "cat"),))), walls) == (0, "")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
async def test_ending_takes_along_what_has_left_its_group(bare: Bare, workspace: Path, walls: Walls) -> None:
    running = await bare.start(shell(workspace, ESCAPING), walls)
    assert await running.child.stdout.readuntil(b"up\n")
    carrier = psutil.Process(running.child.pid)
    await until(lambda: len(carrier.children(recursive=True)) >= 4)
    family = [process.pid for process in carrier.children(recursive=True)]
    await running.end()
    assert [pid for pid in family if alive(pid)] == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
async def test_what_stays_behind_ends_with_the_job(bare: Bare, workspace: Path, walls: Walls) -> None:
    status, written = await ran(
        bare, shell(workspace, "setsid -f sleep 603 </dev/null >/dev/null 2>&1; pgrep -f 'sleep 603'"), walls
    )
    assert status == 0
    assert not any(alive(int(pid)) for pid in written.split())


async def test_too_many_processes_end_the_job(bare: Bare, workspace: Path, walls: Walls) -> None:
    bomb = "for i in $(seq 60); do sleep 604 & done; wait"
    status, written = await ran(bare, shell(workspace, bomb, Limits(processes=20)), walls)
    assert (status, written) == (137, "\n[ended: more than 20 processes]\n")


async def test_too_much_memory_ends_the_job(bare: Bare, workspace: Path, walls: Walls) -> None:
    hungry = "for i in 1 2 3 4; do head -c 60000000 /dev/zero | tail -c 60000000 | (sleep 605) & done; wait"
    status, written = await ran(bare, shell(workspace, hungry, Limits(memory_bytes=128 << 20)), walls)
    assert (status, written) == (137, "\n[ended: more than 128 MiB of memory]\n")


async def test_a_file_larger_than_allowed_is_not_written(bare: Bare, workspace: Path, walls: Walls) -> None:
    await ran(bare, shell(workspace, "head -c 5000000 /dev/zero > big", Limits(file_bytes=1_000_000)), walls)
    assert (workspace / "big").stat().st_size <= 1_000_000


async def test_no_new_privileges_even_without_walls(bare: Bare, workspace: Path, walls: Walls) -> None:
    _, written = await ran(bare, shell(workspace, "grep NoNewPrivs /proc/self/status"), walls)
    assert written.split() == ["NoNewPrivs:", "1"]


async def test_many_jobs_leave_nobody(bare: Bare, spawner: Spawner, workspace: Path, walls: Walls) -> None:
    for number in range(40):
        running = await bare.start(shell(workspace, "setsid -f sleep 606 </dev/null >/dev/null 2>&1; sleep 0"), walls)
        if number % 2:
            await running.end()
        else:
            await outcome(running)
    assert spawner.children() == 0
    mine = [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", "606"]]
    assert [process for process in mine if alive(process.pid)] == []
    assert os.getpid() not in (process.pid for process in mine)
