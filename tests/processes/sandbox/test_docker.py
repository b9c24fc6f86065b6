"""Docker's walls: what is asked of the engine, and, where there is one, what a command finds inside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from openclaw.base.clock import ManualClock, SystemClock
from openclaw.base.errors import Unavailable
from openclaw.cli.app import run
from openclaw.config.schema import DockerSandboxConfig, SandboxConfig, SandboxPruneConfig
from openclaw.processes.sandbox.choice import owner_of
from openclaw.processes.sandbox.docker import PREFIX, Contained, Docker, container_options, text
from openclaw.processes.sandbox.job import Command, Job, Redirect, Stage, Walls
from openclaw.processes.spawner import Spawner
from tests.processes.sandbox import dockerd
from tests.processes.sandbox.dockerd import IMAGE
from tests.processes.sandbox.support import names, outcome, ran

pytestmark = pytest.mark.anyio


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


@pytest.fixture(scope="module")
def engine() -> Iterator[None]:
    with dockerd.engine() as reason:
        if reason:
            pytest.skip(reason)
        yield


@pytest.fixture
async def docker(engine: None) -> AsyncIterator[Docker]:
    spawner = Spawner(Surroundings())
    pruned = SandboxPruneConfig(idle_hours=24, max_age_days=2)
    config = SandboxConfig(backend="docker", docker=DockerSandboxConfig(image=IMAGE), prune=pruned)
    box = Docker(spawner, ManualClock(SystemClock().now_ms()), config, owner="mine")
    yield box
    for each in await box.containers():
        await box.remove(each.name)
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


async def test_commands_that_begin_at_once_share_the_container_that_one_of_them_makes(
    docker: Docker, workspace: Path
) -> None:
    walls = Walls(workspace=workspace, scope="at once")
    job = calls(workspace, "echo up")
    assert await asyncio.gather(*(ran(docker, job, walls) for _ in range(3))) == [(0, "up\n")] * 3


async def test_an_engine_that_does_not_answer_keeps_no_client_alive(workspace: Path) -> None:
    class Deaf(Docker):
        async def remove(self, name: str) -> None:
            raise Unavailable("Docker does not answer")

    spawner = Spawner(Surroundings())
    child = await spawner.spawn(("sleep", "800"), stdout=True)
    with pytest.raises(Unavailable):
        await Contained(child, Deaf(spawner, SystemClock()), "any").end()
    assert child.returncode == -signal.SIGKILL
    await spawner.close(0.5)


async def test_idle_and_old_containers_are_removed(docker: Docker, workspace: Path) -> None:
    clock = docker._clock
    assert isinstance(clock, ManualClock)
    await ran(docker, calls(workspace, "true"), Walls(workspace=workspace, scope="idle"))
    clock.advance(23 * 3600)
    assert await docker.prune() == 0
    await ran(docker, calls(workspace, "true"), Walls(workspace=workspace, scope="idle"))
    clock.advance(23 * 3600)
    assert await docker.prune() == 0
    (found,) = await docker.containers()
    assert (found.scope, found.state, found.idle_hours, found.max_age_days) == ("idle", "running", 24, 2)
    await ran(docker, calls(workspace, "true"), Walls(workspace=workspace, scope="idle"))
    clock.advance(3 * 3600)
    running = await docker.start(calls(workspace, "echo up", "sleep 804"), Walls(workspace=workspace, scope="idle"))
    assert await running.child.stdout.readuntil(b"up\n")
    clock.advance(3 * 86_400)
    assert await docker.prune() == 0  # a command that runs uses it
    running.child.signal(signal.SIGKILL)
    await running.child.wait()
    assert await docker.prune() == 1


async def test_containers_of_another_gateway_are_let_alone(docker: Docker, workspace: Path) -> None:
    walls = Walls(workspace=workspace, scope="s")
    other = Docker(docker._spawner, ManualClock(SystemClock().now_ms()), docker._config, owner="another")
    await ran(docker, calls(workspace, "true"), walls)
    await ran(other, calls(workspace, "true"), walls)
    (mine,), (theirs,) = await docker.containers(), await other.containers()
    assert mine.name != theirs.name
    later = ManualClock(SystemClock().now_ms() + 30 * 86_400_000)
    assert await Docker(docker._spawner, later, owner="another").prune() == 1
    assert await docker.containers() == [mine]


async def test_what_a_killed_gateway_has_left_at_work_is_ended_and_the_rest_found_again(
    docker: Docker, workspace: Path
) -> None:
    busy, idle = Walls(workspace=workspace, scope="busy"), Walls(workspace=workspace, scope="idle")
    await ran(docker, calls(workspace, "touch /tmp/mine"), idle)
    running = await docker.start(calls(workspace, "echo up", "sleep 802"), busy)
    assert await running.child.stdout.readuntil(b"up\n")
    os.kill(running.child.pid, signal.SIGKILL)  # as its gateway was: the client ends, the command does not
    await running.child.wait()
    again = Docker(docker._spawner, SystemClock(), docker._config, owner="mine")
    assert await docker.sweep() == 0  # who has started it ends it
    assert await again.sweep() == 1
    assert [each.scope for each in await again.containers()] == ["idle"]
    assert "mine\n" in (await ran(again, calls(workspace, "ls /tmp"), idle))[1]


async def test_an_image_that_is_not_there_is_told(docker: Docker) -> None:
    assert await docker.problem() == ""
    none = Docker(docker._spawner, SystemClock(), SandboxConfig(docker=DockerSandboxConfig(image="no-such:1")))
    assert "Docker has no image no-such:1" in await none.problem()


@pytest.mark.parametrize(
    "bind",
    ["/var/run/docker.sock:/run/docker.sock:ro", "/:/host:ro", "/etc:/e:ro", "/proc:/p:ro", "{above}:/a:ro",
     "{ws}:/w:ro", "{ws}/link:/l:ro", "{ws}/in:/x/../etc:ro", "{ws}/in:/x:rw", "{ws}/in:relative", "{ws}/missing:/m:ro",
     "", ":", "named:/v:ro"],
)  # fmt: skip
def test_no_bind_shows_more_than_the_workspace(workspace: Path, bind: str) -> None:
    (workspace / "in").mkdir()
    (workspace / "link").symlink_to(workspace.parent)
    config = SandboxConfig(docker=DockerSandboxConfig(binds=(bind.format(ws=workspace, above=workspace.parent),)))
    with pytest.raises(Unavailable, match="is not given to containers"):
        container_options(config, Walls(workspace=workspace))


async def test_the_command_line_lists_and_removes_containers(
    docker: Docker, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(state))
    own = Docker(docker._spawner, SystemClock(), docker._config, owner=owner_of(state))
    for scope in ("agent:work:main", "agent:play"):
        await ran(own, calls(workspace, "true"), Walls(workspace=workspace, scope=scope))

    async def said(*arguments: str) -> Any:
        assert await anyio.to_thread.run_sync(run, ["sandbox", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    rows = (await said("list"))["containers"]
    assert [(row["scope"], row["state"], row["image"], row["current"]) for row in rows] == [
        ("agent:work:main", "running", IMAGE, True),
        ("agent:play", "running", IMAGE, True),
    ]
    assert (await said("prune"))["removed"] == []
    assert (await said("recreate", "--agent", "work", "--force"))["removed"] == [rows[0]["name"]]
    assert (await said("recreate", "--all", "--force"))["removed"] == [rows[1]["name"]]
    assert await own.containers() == []
