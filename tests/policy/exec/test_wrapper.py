"""What a wrapper runs: told from its words alone, or not told at all."""

from __future__ import annotations

import pytest

from openclaw.policy.exec.wrapper import Opaque, Text, Words, look


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("env ls -l", Words(("ls", "-l"))),
        ("env A=1 B= ls", Words(("ls",), (("A", "1"), ("B", "")))),
        ("env -u A -- ls", Words(("ls",))),
        ("env -i /bin/ls", Words(("/bin/ls",))),
        ("timeout -k 1 -s KILL 5 ls", Words(("ls",))),
        ("timeout --kill-after=1 5 ls", Words(("ls",))),
        ("timeout -vk1 5 ls", Words(("ls",))),
        ("nice -n 5 -- ls", Words(("ls",))),
        ("nice -n5 ls", Words(("ls",))),
        ("stdbuf -oL -e 0 ls", Words(("ls",))),
        ("nohup ls", Words(("ls",))),
        ("bash -c ls", Text("ls")),
        ("bash -euo pipefail -c ls", Text("ls")),
        ("bash --norc -ec ls", Text("ls")),
        ("dash -c ls", Text("ls")),
        ("ls", None),
        ("python3 -c x", None),
    ],
)
def test_the_inner_command_is_what_follows_the_known_options(words: str, found: object) -> None:
    argv = words.split()
    assert look((argv[0], argv[0]), argv) == found


@pytest.mark.parametrize(
    "words",
    [
        "env",
        "env -i ls",
        "env -S ls",
        "env -u PATH ls",
        "env -C / ls",
        "env - ls",
        "env A=1 -i ls",
        "env -u",
        "timeout 5",
        "timeout -x 5 ls",
        "timeout",
        "timeout 5 -v",
        "nice -5 ls",
        "nice",
        "setsid -f ls",
        "time -o f ls",
        "ionice -p 1",
        "bash",
        "bash x.sh",
        "bash -c",
        "bash -lc ls",
        "bash -ic ls",
        "bash -c -x ls",
        "bash -O extglob -c ls",
        "bash -s",
        "sh --norc -c ls",
        "busybox ls",
        "sh -c ls&>f",
    ],
)
def test_what_cannot_be_told_is_opaque(words: str) -> None:
    argv = words.split()
    assert isinstance(look((argv[0], argv[0]), argv), Opaque)


def test_a_wrapper_stored_under_another_name_is_opaque_unless_both_are_shells() -> None:
    assert isinstance(look(("nice", "coreutils"), ["nice", "ls"]), Opaque)
    assert isinstance(look(("sh", "busybox"), ["sh", "-c", "ls"]), Opaque)
    assert look(("sh", "dash"), ["sh", "-c", "ls"]) == Text("ls")
    assert look(("sh", "bash"), ["sh", "-c", "ls &>/dev/null"]) == Text("ls &>/dev/null")
    assert isinstance(look(("sh", "dash"), ["sh", "-c", "ls &>/dev/null"]), Opaque)
