"""The cellar: bounded containers, secrets, clock, tasks, errors."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import pkgutil
import pprint
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import openclaw
from openclaw.base.bounded import BoundedMap, BoundedQueue, Full
from openclaw.base.clock import ManualClock
from openclaw.base.errors import OpenClawError, RateLimited, catalogue
from openclaw.base.principal import Principal
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet, supervise
from openclaw.config.redaction.redact import is_secret_key
from openclaw.identity.authenticate import Evidence


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_a_map_never_holds_more_than_its_limit_and_evicts_the_least_used(keys: list[int], limit: int) -> None:
    evicted: list[int] = []
    mapped: BoundedMap[int, int] = BoundedMap("t", limit, lambda key, _: evicted.append(key))
    model: OrderedDict[int, int] = OrderedDict()
    for key in keys:
        mapped.put(key, key)
        model[key] = key
        model.move_to_end(key)
        while len(model) > limit:
            model.popitem(last=False)
        assert list(mapped) == list(model)
    assert len(mapped) <= limit


def test_a_full_queue_refuses_or_drops_by_its_rule() -> None:
    strict: BoundedQueue[int] = BoundedQueue("s", 1)
    strict.put(1)
    with pytest.raises(Full):
        strict.put(2)
    loose: BoundedQueue[int] = BoundedQueue("l", 1, "drop-oldest")
    loose.put(1)
    assert loose.put(2) == 1
    assert loose.get() == 2
    assert loose.dropped == 1


SECRET = "correct-horse-battery-staple"


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(SECRET)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", f"{[secret]}", f"{ {'k': secret} }"):
        assert SECRET not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)
    for encode in (msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        with pytest.raises(TypeError):
            encode({"k": secret})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps({"k": secret}, protocol)
    assert secret.reveal() == SECRET


def test_a_secret_that_is_part_of_something_shows_itself_neither() -> None:
    @dataclass
    class Data:
        secret: Secret

    class Record(msgspec.Struct):
        secret: Secret

    def fall(secret: Secret) -> None:
        raise ValueError(f"{secret} and {secret!s} and %s" % secret)

    secret = Secret(SECRET)
    try:
        fall(secret)
    except ValueError as error:
        trace = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    shown = (
        *(repr(Data(secret)), str(Record(secret)), pprint.pformat({"k": [secret]}), f"{secret:>30}"),
        *(json.dumps(secret, default=str), msgspec.json.encode(secret, enc_hook=repr).decode(), trace),
    )
    assert all(SECRET not in each for each in shown)
    assert "Secret(***)" in trace
    with pytest.raises(TypeError):
        asdict(Data(secret))


@given(st.text(), st.text())
def test_a_secret_matches_only_itself(one: str, other: str) -> None:
    assert Secret(one).matches(other) == (one == other)


def test_admin_implies_every_scope_and_read_implies_only_itself() -> None:
    assert Principal(scopes=frozenset({"operator.admin"})).may("operator.write")
    assert not Principal(scopes=frozenset({"operator.read"})).may("operator.write")


def test_every_error_has_a_code_a_fault_and_one_shape() -> None:
    for code, cls in catalogue().items():
        shape = cls("what failed", retry_after_s=1.5).as_dict()
        assert shape["code"] == code
        assert shape["fault"] in {"caller", "peer", "operator", "us"}
        assert shape["retryAfterMs"] == 1500
    assert issubclass(RateLimited, OpenClawError)


@pytest.mark.anyio
async def test_a_failing_task_is_counted_and_its_siblings_go_on() -> None:
    tasks = TaskSet("t")

    async def fail() -> None:
        raise ValueError("broken")

    async def wait(clock: ManualClock) -> str:
        await clock.sleep(10)
        return "done"

    clock = ManualClock()
    bad, good = tasks.spawn(fail(), "bad"), tasks.spawn(wait(clock), "good")
    with pytest.raises(ValueError, match="broken"):
        await bad
    clock.advance(10)
    assert await good == "done"
    assert tasks.failures == 1
    await tasks.close()
    with pytest.raises(RuntimeError):
        tasks.spawn(fail(), "late")


@pytest.mark.anyio
async def test_a_supervised_coroutine_is_started_again_with_growing_pauses() -> None:
    pauses: list[float] = []
    tries = 0

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def flaky() -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise OSError("gone")

    await supervise("flaky", flaky, sleep, first_delay_s=1, max_delay_s=3)
    assert pauses == [1, 2, 3]


MAY_BE_SHOWN = frozenset(("Principal", "Attempt", "Question", "QuestionResolveParams", "InferenceProfiles", "Powers"))
"""They have names of credentials and variables, questions about them and places in a list, but no secret."""


def test_no_structure_with_a_secret_in_plain_text_prints_it() -> None:
    for module in pkgutil.walk_packages(openclaw.__path__, "openclaw."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    plain: object = msgspec.Struct.__repr__
    printing = {
        each.__name__
        for each in descendants(msgspec.Struct)
        if each.__module__.startswith("openclaw.")
        and each.__repr__ is plain
        and any(is_secret_key(name) and "str" in str(kind) for name, kind in each.__annotations__.items())
    }
    assert printing <= MAY_BE_SHOWN
    assert repr(Evidence(token=SECRET)) == "Evidence(***)"


def descendants(cls: type[Any]) -> Iterator[type[Any]]:
    """Yield every class below one."""
    below: list[type[Any]] = cls.__subclasses__()
    for each in below:
        yield each
        yield from descendants(each)
