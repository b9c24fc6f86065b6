"""Jobs on a clock that the test moves, over a real store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.automation.book import CLAIM, KEEP_CLAIMS, MAX_JOBS
from openclaw.automation.job import AgentTurn, JobOwner, SystemEvent
from openclaw.automation.outcome import PAUSES_S
from openclaw.automation.schedule import At, Cron, Every
from openclaw.automation.scheduler import CATCH_UP_STEP_MS
from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, InvalidRequest, NotFound
from openclaw.base.ids import DEFAULT_TENANT, OwnerId
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import AgentDefaults, AgentsConfig, Config, CronConfig
from tests.automation.desk import MINUTE_S, Desk, desk
from tests.fakes.agent_service import FakeAgentService

pytestmark = pytest.mark.anyio


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


async def test_a_recurring_job_runs_at_each_of_its_times_in_a_session_of_its_own(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        made = await here.jobs.add(here.job())
        assert made.state.next_run_at_ms == here.clock.now_ms() + 60_000
        await here.pass_s(MINUTE_S - 1)
        assert here.runs() == []
        for _ in range(3):
            await here.pass_s(MINUTE_S)
        runs = here.runs()
        assert [run.inbound.message.text for run in runs] == ["do a job"] * 3
        assert len({run.inbound.session_key for run in runs}) == 3
        assert all(run.inbound.session_key.startswith(f"agent:main:cron:{made.id}:run:") for run in runs)
        assert all(run.inbound.ephemeral and run.inbound.source == "cron" for run in runs)
        assert runs[0].id == f"cron:{made.id}:{made.state.next_run_at_ms}"
        assert await here.log() == ["a job ok"] * 3
        state = here.jobs.job(made.id).state
        assert (state.last_status, state.running_at_ms, state.last_error) == ("ok", None, None)
        assert here.actions() == ["added", *["started", "finished"] * 3]


async def test_there_is_no_timer_without_a_job(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        assert [each for each in here.clock._sleepers if not each[2].done()] == []
        await here.pass_s(86_400)
        assert here.runs() == []
        assert here.beats == []


async def test_a_job_with_one_time_runs_once_and_is_deleted(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        at = At(at=iso(here.clock.now_ms() + 60_000))
        await here.jobs.add(here.job("kept", at))
        await here.jobs.add(here.job("gone", at, delete_after_run=True))
        await here.pass_s(MINUTE_S)
        await here.pass_s(3_600)
        assert sorted(await here.log()) == ["gone ok", "kept ok"]
        (left,) = here.jobs.jobs()
        assert (left.name, left.enabled, left.state.next_run_at_ms) == ("kept", False, None)
        assert "removed" in here.actions()


async def test_a_failed_job_with_one_time_stays_so_that_somebody_can_see_it(tmp_path: Path) -> None:
    async with desk(tmp_path, answer=None) as here:
        await here.jobs.add(here.job("once", At(at=iso(here.clock.now_ms() + 1_000)), delete_after_run=True))
        await here.pass_s(1)
        here.runs()[0].end("error", {"code": "MODEL_AUTH", "message": "the key is wrong"})
        await here.rest()
        (left,) = here.jobs.jobs()
        assert (left.enabled, left.state.last_error) == (False, "the key is wrong")


async def test_failures_in_a_row_make_a_job_wait_longer_and_a_success_ends_that(tmp_path: Path) -> None:
    async with desk(tmp_path, answer=None) as here:
        made = await here.jobs.add(here.job(schedule=Every(every_ms=10_000)))
        for failures, pause_s in enumerate(PAUSES_S[:3], start=1):
            due_ms = here.jobs.job(made.id).state.next_run_at_ms
            assert due_ms is not None
            await here.pass_s((due_ms - here.clock.now_ms()) / 1000)
            here.runs()[-1].end("error", {"message": "no"})
            await here.rest()
            state = here.jobs.job(made.id).state
            assert state.consecutive_errors == failures
            assert state.next_run_at_ms is not None
            wait_ms = state.next_run_at_ms - here.clock.now_ms()
            assert pause_s * 1000 <= wait_ms < pause_s * 1000 + 10_000
            assert (state.next_run_at_ms - made.created_at_ms) % 10_000 == 0, "it stays on its schedule"
        await here.pass_s(PAUSES_S[2] + 10)
        here.runs()[-1].end()
        await here.rest()
        state = here.jobs.job(made.id).state
        assert state.consecutive_errors is None
        assert state.next_run_at_ms is not None
        assert state.next_run_at_ms - here.clock.now_ms() <= 10_000


async def test_a_job_never_runs_beside_itself_and_makes_up_for_what_passed_once(tmp_path: Path) -> None:
    async with desk(tmp_path, answer=None) as here:
        await here.jobs.add(here.job())
        for _ in range(5):
            await here.pass_s(MINUTE_S)
        assert len(here.runs()) == 1
        here.runs()[0].end()
        await here.rest()
        assert len(here.runs()) == 2, "four times passed: one run for them"
        here.runs()[1].end()
        await here.rest()
        assert len(here.runs()) == 2


async def test_no_more_jobs_run_at_once_than_allowed_and_the_others_follow(tmp_path: Path) -> None:
    async with desk(tmp_path, answer=None, config=Config(cron=CronConfig(max_concurrent_runs=2))) as here:
        for number in range(5):
            await here.jobs.add(here.job(str(number)))
        await here.pass_s(MINUTE_S)
        assert len(here.runs()) == 2
        for place in range(5):
            here.runs()[place].end()
            await here.rest()
        assert sorted(run.inbound.message.text for run in here.runs()) == [f"do {number}" for number in range(5)]


async def test_a_run_acts_as_the_jobs_owner_and_never_as_an_administrator(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.jobs.add(here.job("of an admin"))
        reader = JobOwner(DEFAULT_TENANT, OwnerId("ann"), ("operator.read",))
        await here.jobs.add(here.job("of a reader", owner=reader))
        await here.pass_s(MINUTE_S)
        scopes = {run.inbound.principal.owner: set(run.inbound.principal.scopes) for run in here.runs()}
        assert scopes == {"operator": {"operator.read", "operator.write"}, "ann": {"operator.read"}}


async def test_a_system_event_waits_for_the_main_session_and_makes_no_run(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.jobs.add(
            here.job("tell", payload=SystemEvent(text="tea"), session_target="main", wake_mode="next-heartbeat")
        )
        await here.pass_s(MINUTE_S)
        key = here.agent.resolve_key(LOCAL_OPERATOR, "main")
        assert [line.text for line in here.events.waiting(key)] == ["tea"]
        assert here.runs() == []
        assert await here.log() == ["tell ok"]


async def test_a_system_event_that_wakes_makes_one_heartbeat_turn(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.jobs.add(here.job("tell", payload=SystemEvent(text="tea"), session_target="main"))
        await here.pass_s(MINUTE_S)
        (run,) = here.runs()
        assert (run.inbound.source, run.inbound.session_key) == ("heartbeat", "agent:main:main")
        assert [beat.status for beat in here.beats] == ["sent"]


# starts


async def test_times_missed_while_the_gateway_was_down_make_one_run_each_apart(tmp_path: Path) -> None:
    clock = ManualClock()
    async with desk(tmp_path, clock=clock) as here:
        for number in range(3):
            await here.jobs.add(here.job(str(number)))
    clock.advance(3_600)
    async with desk(tmp_path, clock=clock) as here:
        await here.rest()
        counts = [len(here.runs())]
        for _ in range(2):
            await here.pass_s(CATCH_UP_STEP_MS / 1000)
            counts.append(len(here.runs()))
        assert counts == [1, 2, 3]
        await here.pass_s(1)
        assert len(here.runs()) == 3


@pytest.mark.parametrize("how", ["job", "config", "age"])
async def test_missed_times_that_are_not_made_up_for_are_recorded(tmp_path: Path, how: str) -> None:
    clock = ManualClock()
    async with desk(tmp_path, clock=clock) as here:
        await here.jobs.add(here.job("often", missed="skip" if how == "job" else None))
        once = At(at=iso(clock.now_ms() + 1_000))
        await here.jobs.add(here.job("once", once, missed="skip" if how == "job" else None))
    clock.advance(90_000 if how == "age" else 3_600)
    config = Config(cron=CronConfig(skip_missed_jobs=how == "config"))
    async with desk(tmp_path, clock=clock, config=config) as here:
        await here.pass_s(2 * CATCH_UP_STEP_MS / 1000)
        assert here.runs() == []
        assert sorted(await here.log()) == ["often skipped", "once skipped"]
        often, once_job = sorted(here.jobs.jobs(), key=lambda job: job.name)
        assert often.state.next_run_at_ms is not None
        assert often.state.next_run_at_ms > clock.now_ms()
        assert not once_job.enabled
        await here.pass_s(MINUTE_S)
        assert [run.inbound.message.text for run in here.runs()] == ["do often"]


async def test_a_job_may_make_up_though_the_configuration_skips(tmp_path: Path) -> None:
    clock = ManualClock()
    async with desk(tmp_path, clock=clock) as here:
        await here.jobs.add(here.job(missed="once"))
    clock.advance(3_600)
    async with desk(tmp_path, clock=clock, config=Config(cron=CronConfig(skip_missed_jobs=True))) as here:
        await here.rest()
        assert await here.log() == ["a job ok"]


async def test_a_machine_that_slept_makes_up_for_what_it_missed_apart(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        for number in range(3):
            await here.jobs.add(here.job(str(number)))
        await here.pass_s(7_200)
        assert len(here.runs()) == 1
        await here.pass_s(2 * CATCH_UP_STEP_MS / 1000)
        assert len(here.runs()) == 3


async def test_a_run_that_a_crash_cut_off_is_taken_up_under_its_own_id(tmp_path: Path) -> None:
    clock, agent = ManualClock(), FakeAgentService(ManualClock())
    async with desk(tmp_path, clock=clock, agent=agent) as here:
        await here.jobs.add(here.job())
        await here.pass_s(MINUTE_S)
        (run,) = here.runs()
    async with desk(tmp_path, clock=clock, agent=agent) as here:
        assert here.runs() == [run], "the study knew the run: it is waited for, not repeated"
        run.end()
        await here.rest()
        assert await here.log() == ["a job ok"]
        assert here.jobs.job("id-a job").state.running_at_ms is None


async def test_a_crash_between_claim_and_run_leads_to_one_run_or_a_recorded_miss(tmp_path: Path) -> None:
    for down_s, log in ((10, ["a job ok"]), (90_000, ["a job skipped"])):
        folder = tmp_path / str(down_s)
        folder.mkdir()
        clock, lost = ManualClock(), FakeAgentService(ManualClock())
        async with desk(folder, clock=clock, agent=lost) as here:
            made = await here.jobs.add(here.job(schedule=Every(every_ms=86_400_000_000)))
            assert (await here.jobs.run(made.id)).run_id
            await here.rest()
        clock.advance(down_s)
        async with desk(folder, clock=clock) as here:  # a study that never heard of the run
            await here.rest()
            assert await here.log() == log
            assert len(here.runs()) == (1 if down_s == 10 else 0)


async def test_two_schedulers_over_one_store_never_run_a_time_twice(tmp_path: Path) -> None:
    async with desk(tmp_path, answer=None) as one:
        made = await one.jobs.add(one.job())
        other = Desk(one.store, one.clock, one.agent, one.config)
        await other.room.start()
        try:
            for count in range(1, 4):
                await one.pass_s(MINUTE_S)
                await one.rest()
                assert len(one.runs()) == count
                one.runs()[-1].end()
                await one.rest()
            claims = await one.store.shelf.list(CLAIM, prefix=made.id)
            assert len(claims) == 3
        finally:
            await other.room.close()


async def test_what_waits_for_its_answer_at_a_shutdown_is_told_after_the_next_start(tmp_path: Path) -> None:
    clock, agent = ManualClock(), FakeAgentService(ManualClock())
    async with desk(tmp_path, clock=clock, agent=agent) as here:
        await here.jobs.add(here.job())
        await here.pass_s(MINUTE_S)
        here.room.pause()
        here.runs()[0].end("error", {"code": "RUN_INTERRUPTED", "message": "restarting"})
        await here.rest()
        assert await here.log() == []


# asking and changing


async def test_a_run_asked_for_leaves_the_schedule_as_it_is(tmp_path: Path) -> None:
    async with desk(tmp_path, answer=None) as here:
        made = await here.jobs.add(here.job(enabled=False))
        assert (await here.jobs.run(made.id, "if-enabled")).reason == "disabled"
        assert (await here.jobs.run(made.id, "due")).reason == "not-due"
        started = await here.jobs.run(made.id)
        assert started.run_id.startswith(f"manual:{made.id}:")
        assert (await here.jobs.run(made.id)).reason == "already-running"
        await here.rest()
        here.runs()[0].end()
        await here.rest()
        job = here.jobs.job(made.id)
        assert (job.enabled, job.state.next_run_at_ms, job.state.last_status) == (False, None, "ok")


async def test_a_one_time_job_run_by_hand_still_runs_at_its_time(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        at = At(at=iso(here.clock.now_ms() + 60_000))
        made = await here.jobs.add(here.job("once", at, delete_after_run=True))
        await here.jobs.run(made.id)
        await here.rest()
        assert len(here.jobs.jobs()) == 1
        await here.pass_s(MINUTE_S)
        assert await here.log() == ["once ok"] * 2
        assert here.jobs.jobs() == []


async def test_a_job_that_is_switched_off_does_not_run_and_one_that_is_removed_is_gone(tmp_path: Path) -> None:
    from msgspec.structs import replace

    async with desk(tmp_path) as here:
        off = await here.jobs.add(here.job("off"))
        gone = await here.jobs.add(here.job("gone"))
        off = await here.jobs.update(off.id, lambda job: replace(job, enabled=False))
        assert off.state.next_run_at_ms is None
        await here.jobs.remove(gone.id)
        await here.pass_s(600)
        assert here.runs() == []
        on = await here.jobs.update(off.id, lambda job: replace(job, enabled=True))
        assert on.state.next_run_at_ms is not None
        await here.pass_s(MINUTE_S)
        assert [run.inbound.message.text for run in here.runs()] == ["do off"]
        with pytest.raises(InvalidRequest) as refused:
            await here.jobs.remove(gone.id)
        assert refused.value.details == {"code": "CRON_JOB_NOT_FOUND", "jobId": gone.id}


async def test_a_job_removed_while_it_runs_ends_in_the_log_only(tmp_path: Path) -> None:
    async with desk(tmp_path, answer=None) as here:
        made = await here.jobs.add(here.job())
        await here.jobs.run(made.id)
        await here.rest()
        await here.jobs.remove(made.id)
        here.runs()[0].end()
        await here.rest()
        assert await here.log() == ["a job ok"]
        assert await here.store.shelf.list(CLAIM) == []


async def test_what_could_never_run_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        past = At(at=iso(here.clock.now_ms() - 1))
        for job in (
            here.job("past", past),
            here.job("empty", payload=AgentTurn(message=" ")),
            here.job("isolated", payload=SystemEvent(text="x")),
            here.job("zone", Cron(expr="0 7 * * *", tz="Nowhere/None")),
        ):
            with pytest.raises(InvalidRequest):
                await here.jobs.add(job)
        with pytest.raises(NotFound):
            await here.jobs.add(here.job("agent", agent_id="nobody"))
        assert here.jobs.jobs() == []


async def test_there_are_only_so_many_jobs_and_claims(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        for number in range(MAX_JOBS):
            await here.jobs.add(here.job(str(number), enabled=False))
        with pytest.raises(Conflict):
            await here.jobs.add(here.job("one more"))
        for _ in range(KEEP_CLAIMS + 5):
            await here.jobs.run("id-0")
            await here.pass_s(1)
        assert len(await here.store.shelf.list(CLAIM)) == KEEP_CLAIMS


async def test_switching_jobs_off_in_the_configuration_takes_effect_at_once_and_so_does_a_zone(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        made = await here.jobs.add(here.job("noon", Cron(expr="0 12 * * *")))
        here.config = Config(cron=CronConfig(enabled=False))
        await here.room.reloaded()
        assert here.jobs.next_wake_ms() is None
        here.config = Config(agents=AgentsConfig(defaults=AgentDefaults(user_timezone="Asia/Tokyo")))
        await here.room.reloaded()
        moved = here.jobs.job(made.id).state.next_run_at_ms
        assert moved != made.state.next_run_at_ms
        assert here.jobs.next_wake_ms() == moved


async def test_a_scratch_is_written_only_over_the_revision_that_was_seen(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        made = await here.jobs.add(here.job())
        assert await here.jobs.scratch(made.id) is None
        assert (await here.jobs.set_scratch(made.id, "one", 0))[0]
        written, now = await here.jobs.set_scratch(made.id, "two", 0)
        assert (written, now.content, now.revision) == (False, "one", 1)
        assert (await here.jobs.set_scratch(made.id, None, None))[1].revision == 2
