"""Docker's walls: what is asked of the engine, and, where there is one, what a command finds inside."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock, SystemClock
from openclaw.base.errors import Unavailable
from openclaw.config.schema import DockerSandboxConfig, SandboxConfig, SandboxPruneConfig
from openclaw.processes.sandbox.docker import PREFIX, Docker, container_options, text
from openclaw.processes.sandbox.job import Command, Job, Redirect, Stage, Walls
from openclaw.processes.spawner import Spawner
from tests.processes.sandbox.support import names, outcome, ran

pytestmark = pytest.mark.anyio

IMAGE = "openclaw-test-sandbox:1"


class Surroundings:
    """This process's environment."""

    def get(self, name: str) -> str | None:
        return os.environ.get(name)

    def names(self) -> Iterable[str]:
        return os.environ


def calls(workspace: Path, *lines: str) -> Job:
    """Return a job of shell lines for an image that has no bash."""
    command = Command(program="/bin/sh", argv=("sh", "-c", "\n".join(lines)), cwd=str(workspace))
    return Job(stages=(Stage(commands=(command,)),), workspace=str(workspace))


def _image() -> str:
    """Make a small image of the machine's own busybox. Return why that cannot be, or nothing."""
    if shutil.which("docker") is None or shutil.which("busybox") is None:
        return "no docker program, or no busybox to make an image of"
    if subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode:
        return "no docker engine answers"
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0:
        return ""
    busybox = Path(shutil.which("busybox") or "").resolve()
    needed = subprocess.run(["ldd", str(busybox)], capture_output=True, text=True, check=False).stdout
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for path in [Path(each) for each in re.findall(r"/\S+", needed)]:
            tar.add(path.resolve(), str(path).lstrip("/"))
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "cat", "ls", "touch", "id", "grep", "sleep", "echo", "wget", "mount", "setsid"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    done = subprocess.run(["docker", "import", "-", IMAGE], input=whole.getvalue(), capture_output=True, check=False)
    return done.stderr.decode() if done.returncode else ""


@pytest.fixture(scope="module")
def engine() -> None:
    if reason := _image():
        pytest.skip(reason)


@pytest.fixture
async def docker(engine: None) -> AsyncIterator[Docker]:
    spawner = Spawner(Surroundings())
    pruned = SandboxPruneConfig(idle_hours=24, max_age_days=2)
    config = SandboxConfig(backend="docker", docker=DockerSandboxConfig(image=IMAGE), prune=pruned)
    box = Docker(spawner, SystemClock(), config)
    yield box
    later = ManualClock(SystemClock().now_ms() + 30 * 86_400_000)
    await Docker(spawner, later).prune()
    await spawner.close(0.5)


def test_every_word_of_a_plan_is_quoted_for_the_images_shell(workspace: Path) -> None:
    nasty = Command(
        program="/bin/echo",
        argv=("echo", "$(touch canary)", "it's", "a\nb", "--"),
        cwd="/w s",
        environment=(("A", "`x`"), ("PATH", "/elsewhere"), ("BAD-NAME", "x")),
        redirections=(Redirect(1, "write", "o $x"), Redirect(2, "dup", "1")),
    )
    job = Job(stages=(Stage(commands=(nasty, nasty)), Stage(join="or", commands=(nasty,))), workspace="/w s")
    one = "( cd '/w s' && A='`x`' 'echo' '$(touch canary)' 'it'\\''s' 'a\nb' '--' 1>'o $x' 2>&1 )"
    assert text(job) == f"exec 2>&1 </dev/null\n{one} | {one} || {one}\n"


def test_what_containers_never_get(workspace: Path) -> None:
    options = container_options(SandboxConfig(docker=DockerSandboxConfig(cap_drop=())), Walls(workspace=workspace))
    joined = " ".join(options)
    for part in ("--network none", "--cap-drop ALL", "--security-opt no-new-privileges", "--read-only", "--pids-limit"):
        assert part in joined
    assert [word for word in options if word.startswith("type=")] == [f"type=bind,src={workspace},dst={workspace}"]


def test_what_is_hidden_is_covered_in_the_workspace(workspace: Path) -> None:
    state, config = workspace / ".openclaw", workspace / "openclaw.json"
    state.mkdir()
    config.write_text("{}")
    options = container_options(SandboxConfig(), Walls(workspace=workspace, hidden=(state, config)))
    assert f"type=tmpfs,dst={state},tmpfs-size=4096,tmpfs-mode=0500" in options
    assert f"type=bind,src=/dev/null,dst={config},readonly" in options
    with pytest.raises(Unavailable, match="where secrets lie"):
        container_options(SandboxConfig(), Walls(workspace=workspace, hidden=(workspace,)))


async def test_without_an_image_nothing_starts(workspace: Path) -> None:
    spawner = Spawner(Surroundings())
    with pytest.raises(Unavailable, match="no image"):
        await Docker(spawner, SystemClock()).start(calls(workspace, "true"), Walls(workspace=workspace))
    await spawner.close()


async def test_a_plan_is_carried_out_in_a_container(docker: Docker, workspace: Path) -> None:
    walls = Walls(workspace=workspace, scope="one")
    echo = Command(
        program="/usr/bin/echo",
        argv=("echo", "$HOME", "b"),
        cwd=str(workspace),
        redirections=(Redirect(1, "write", "f"),),
    )
    cat = Command(program="/usr/bin/cat", argv=("cat", "f"), cwd=str(workspace))
    job = Job(stages=(Stage(commands=(echo,)), Stage(join="and", commands=(cat,))), workspace=str(workspace))
    assert await ran(docker, job, walls) == (0, "$HOME b\n")
    assert (workspace / "f").read_text() == "$HOME b\n"
    assert await ran(docker, calls(workspace, "exit 9"), walls) == (9, "")


async def test_a_container_holds_nothing_of_the_machine_and_reaches_nothing(docker: Docker, workspace: Path) -> None:
    secret = workspace.parent / "secret"
    secret.write_text("s3cret")
    lines = (
        f"cat {secret} /etc/shadow; ls /sys/class/net; grep -E '^(CapEff|NoNewPrivs|Seccomp:)' /proc/self/status",
        "touch /canary; mount -t tmpfs x /tmp; wget -T 2 http://1.1.1.1/; ls /var/run/docker.sock; touch ok",
    )
    _, written = await ran(docker, calls(workspace, *lines), Walls(workspace=workspace, scope="two"))
    assert "s3cret" not in written
    assert "CapEff:\t0000000000000000" in written
    assert "NoNewPrivs:\t1" in written
    assert "lo\n" in written
    assert "eth0" not in written
    assert "Read-only file system" in written
    assert "canary" not in written.replace("/canary: Read-only", "")
    assert names(workspace) == ["ok"]


async def test_ending_a_job_ends_all_that_it_has_started(docker: Docker, workspace: Path) -> None:
    job = calls(workspace, "setsid sleep 800 </dev/null >/dev/null 2>&1 &", "echo up", "sleep 801")
    running = await docker.start(job, Walls(workspace=workspace, scope="three"))
    assert await running.child.stdout.readuntil(b"up\n")
    await running.end()
    listed = await docker._docker("ps", "-a", "--filter", f"name={PREFIX}", "--format", "{{.Names}}")
    assert listed.stdout == b""
    assert (await outcome(running))[0] != 0


async def test_who_shares_a_container_shares_its_tmp_and_others_do_not(docker: Docker, workspace: Path) -> None:
    mine, other = Walls(workspace=workspace, scope="a"), Walls(workspace=workspace, scope="b")
    await ran(docker, calls(workspace, "touch /tmp/mine"), mine)
    assert "mine\n" in (await ran(docker, calls(workspace, "ls /tmp"), mine))[1]
    assert "mine\n" not in (await ran(docker, calls(workspace, "ls /tmp"), other))[1]


async def test_idle_and_old_containers_are_removed(docker: Docker, workspace: Path) -> None:
    await ran(docker, calls(workspace, "true"), Walls(workspace=workspace, scope="idle"))
    assert await docker.prune() == 0
    soon = ManualClock(SystemClock().now_ms() + 23 * 3_600_000)
    assert await Docker(docker._spawner, soon).prune() == 0
    later = ManualClock(SystemClock().now_ms() + 25 * 3_600_000)
    assert await Docker(docker._spawner, later).prune() == 1
