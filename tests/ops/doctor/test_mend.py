"""`--fix` mends with a way back: nothing is lost, nothing gets less safe, and the second time it does nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, NotFound, NotSupported
from openclaw.config.changes.ledger import Ledger
from openclaw.config.changes.offline import change, roll_back
from openclaw.config.changes.record import Undo, Wish
from openclaw.ops.doctor import mend as mending
from openclaw.ops.doctor.change import Chmod, Step, Write, apply
from openclaw.ops.doctor.mend import Fix, fixes, mend, plan, undo
from openclaw.ops.doctor.patches import PATCHES, Patch
from openclaw.ops.doctor.posture import lowered, posture
from openclaw.ops.doctor.scene import Finding, Scene
from openclaw.ops.doctor.summary import remarks
from openclaw.ops.doctor.table import examine
from tests.ops.doctor.place import OTHER, STRONG, Place

MODES = st.sampled_from([0o600, 0o640, 0o644, 0o660, 0o666, 0o400, 0o700])
TOKENS = st.sampled_from(["", STRONG, OTHER, "short", "${OPENCLAW_GATEWAY_TOKEN}"])
ORIGINS = st.lists(st.sampled_from(["*", "https://a.example", "https://*.b", "null", "http://c:1"]), max_size=3)
COMMANDS = st.lists(st.sampled_from(["camera.snap", "canvas.eval", "*"]), max_size=2, unique=True)


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Return a file in one of the states that they are found in."""
    kind = draw(st.sampled_from(["fine", "fine", "fine", "broken", "empty", "missing"]))
    if kind in ("broken", "empty", "missing"):
        return {"broken": "{gateway: {auth: ", "empty": "", "missing": "\0"}[kind]
    lines = ["// made by hand\n{"]
    if draw(st.booleans()):
        lines.append("  agent: { model: 'fake/echo', // quick\n    workspace: '~/w' }, telegram: { botToken: '1:x' },")
    if token := draw(TOKENS):
        place = draw(st.sampled_from(["auth: {{ mode: 'token', token: '{}' }},", "token: '{}', // the door's"]))
        lines.append(f"  gateway: {{ {place.format(token)}")
    else:
        lines.append("  gateway: {")
    if draw(st.booleans()):
        lines.append(f"  remote: {{ token: '{draw(TOKENS)}' }},")
    lines.append(f"  controlUi: {{ allowedOrigins: {draw(ORIGINS)} }}, // who may look")
    for old in draw(st.sets(st.sampled_from(["allowCommands", "denyCommands", "commands"]))):
        value = f"{{ deny: {draw(COMMANDS)} }}" if old == "commands" else str(draw(COMMANDS))
        lines.append(f"  nodes: {{ {old}: {value} }},")
    return "\n".join([*lines, " }, prot: 1,", "}"]) + "\n"


_base: list[Path] = []
"""Where states are made: a strategy gets no fixture."""


@st.composite
def broken_states(draw: st.DrawFn) -> Place:
    """Make a state directory that is wrong in many ways."""
    place = Place(Path(tempfile.mkdtemp(dir=_base[0])))
    place.make(draw(st.sampled_from([0o700, 0o755, 0o750, 0o777])))
    if (text := draw(configurations())) != "\0":
        place.write("openclaw.json", text, draw(MODES))
    if draw(st.booleans()):
        place.write("snapshots/last-good.json", f"{{gateway: {{auth: {{token: '{STRONG}'}}}}}}", draw(MODES))
    if token := draw(TOKENS):
        place.write(".env", f"A=1\nexport OPENCLAW_GATEWAY_TOKEN='{token}'  # ours\nB=2\n", draw(MODES))
    if token := draw(st.sampled_from(["", STRONG, OTHER])):
        place.write("credentials/gateway-token", token, draw(MODES))
    for name in draw(st.sets(st.sampled_from([".openclaw.json.0a1b2c3d.tmp", "credentials/.x.1.tmp"]))):
        place.write(name, "half", draw(MODES))
    if draw(st.booleans()):
        place.process["OPENCLAW_GATEWAY_TOKEN"] = draw(st.sampled_from([STRONG, OTHER]))
    return place


@pytest.fixture(scope="module", autouse=True)
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    _base[:] = [tmp_path_factory.mktemp("states")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # hundreds of states; the order of writes stays as it is
        yield


def found(place: Place) -> list[Finding]:
    """Return what the doctor finds, but for how much room the disk has: others use it, too."""
    return [each for each in examine(place.scene()) if each.id != "disk.space"]


@settings(max_examples=120, deadline=None)
@given(broken_states())
def test_mending_twice_is_mending_once_and_undo_restores_byte_for_byte(place: Place) -> None:
    original = place.own_tree()
    before = posture(place.scene())
    fix = mend(place.scene)
    assert not [one for one in fix.patches if one.result == "refused"], fix
    assert lowered(before, posture(place.scene())) == []
    mended = place.tree()
    findings = found(place)

    again = mend(place.scene)

    assert again == Fix()
    assert place.tree() == mended
    assert found(place) == findings
    if fix.id:
        undo(place.scene, fix.id)
        assert place.own_tree() == original


@settings(max_examples=60, deadline=None)
@given(broken_states(), st.sampled_from(PATCHES))
def test_no_patch_alone_makes_anything_less_safe(place: Place, patch: Patch) -> None:
    before = posture(place.scene())
    for step in patch.plan(place.scene()):
        if isinstance(step, Chmod):
            step.path.chmod(step.mode)
        elif isinstance(step, Write):
            step.path.write_bytes(step.data)
        else:
            step.path.rename(place.state / "moved")
    assert lowered(before, posture(place.scene())) == []
    assert patch.plan(place.scene()) == []


@settings(max_examples=30, deadline=None)
@given(broken_states())
def test_a_dry_run_changes_nothing_at_all(place: Place) -> None:
    before = place.tree()
    plan(place.scene())
    assert place.tree() == before


def _opens(scene: Scene) -> list[Step]:
    return [Write(scene.paths.config_path, b'{gateway: {auth: {mode: "none"}}}')]


def test_a_patch_that_would_lower_security_is_taken_back_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path).make()
    path = place.write("openclaw.json", f"{{gateway: {{auth: {{token: '{STRONG}'}}}}}}")
    before = place.own_tree()
    monkeypatch.setattr(mending, "PATCHES", (Patch("open-it", "config", "", _opens),))
    fix = mend(place.scene)
    assert [(one.patch, one.result) for one in fix.patches] == [("open-it", "refused")]
    assert "gateway.auth.mode" in fix.patches[0].why
    assert path.stat().st_mode & 0o777 == 0o600
    assert place.own_tree() == before


def test_a_file_that_was_changed_after_the_fix_is_not_put_back(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    place.write("openclaw.json", "{gateway: {controlUi: {allowedOrigins: ['*']}}}", 0o644)
    fix = mend(place.scene)
    place.write("openclaw.json", "{identity: {name: 'Edited'}}")
    before = place.own_tree()
    with pytest.raises(Conflict, match="has changed since"):
        undo(place.scene, fix.id)
    assert place.own_tree() == before


def test_one_patch_of_a_fix_is_taken_back_alone_and_only_once(tmp_path: Path) -> None:
    place = Place(tmp_path).make(0o755)
    path = place.write("openclaw.json", "{gateway: {controlUi: {allowedOrigins: ['*']}}}", 0o644)
    fix = mend(place.scene)
    paths = place.scene().paths
    undo(place.scene, fix.id, "private-folders")
    assert place.state.stat().st_mode & 0o777 == 0o755
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict, match="undone already"):
        undo(place.scene, fix.id, "private-folders")
    undo(place.scene, fix.id)
    assert path.read_text() == "{gateway: {controlUi: {allowedOrigins: ['*']}}}"
    assert [one.id for one in fixes(paths)] == [fix.id]


@pytest.mark.parametrize("name", ["fix-nope", "../etc", "", "20260101-000000-0000"])
def test_an_unknown_fix_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        undo(Place(tmp_path).make().scene, name)


def test_a_fix_is_a_change_in_the_ledger_and_nobody_else_may_read_what_it_keeps(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    text = f"{{gateway: {{auth: {{token: '{STRONG}'}}, controlUi: {{allowedOrigins: ['*']}}}}}}"
    config = place.write("openclaw.json", text)
    fix = mend(place.scene)
    ledger = Ledger(place.state, ManualClock())
    (record,) = ledger.records()
    assert (record.id, record.method, record.outcome) == (fix.id, "doctor --fix", "written")
    assert [each.path for each in record.diff] == ["gateway.controlUi.allowedOrigins"]
    assert ledger.files(record.before) == {config: text.encode()}
    assert ledger.files(record.after) == {config: config.read_bytes()}
    assert not [one for one in (place.state / "snapshots").rglob("*") if one.stat().st_mode & 0o077]
    undo(place.scene, fix.id)
    assert next(each.method for each in ledger.records()) == f"doctor undo {fix.id}"
    assert STRONG not in "".join(one.read_text() for one in ledger.folder.glob("*.json"))


def test_a_fix_whose_configuration_was_rolled_back_is_still_undone(tmp_path: Path) -> None:
    place = Place(tmp_path).make(0o755)
    config = place.write("openclaw.json", "{gateway: {controlUi: {allowedOrigins: ['*']}}}", 0o644)
    original = place.own_tree()
    fix = mend(place.scene)
    scene = place.scene()
    roll_back(scene.paths, scene.env, ManualClock(), Wish(method="m"), fix.id, lambda loaded, _=None: loaded, remarks)
    os.utime(config, (1_700_000_000, 1_700_000_000))
    undo(place.scene, fix.id)
    assert place.own_tree() == original


def test_a_fix_that_was_killed_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path).make()
    place.write("openclaw.json", "{gateway: {controlUi: {allowedOrigins: ['*']}}}", 0o644)
    original = place.own_tree()

    def killed(step: Step, done: Undo) -> None:
        apply(step, done)
        raise KeyboardInterrupt

    monkeypatch.setattr(mending, "apply", killed)
    with pytest.raises(KeyboardInterrupt):
        mend(place.scene)
    (fix,) = fixes(place.scene().paths)
    assert [one.result for one in fix.patches] == ["begun"]
    undo(place.scene, fix.id)
    assert place.own_tree() == original


def test_a_change_of_the_configuration_is_no_fix(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    place.write("openclaw.json", "{}")
    scene = place.scene()
    made = change(
        scene.paths,
        scene.env,
        ManualClock(),
        Wish(method="m"),
        lambda _: "{ui: {}}",
        lambda loaded, _=None: loaded,
        remarks,
    )
    assert made.record is not None
    with pytest.raises(NotFound, match="is no fix") as caught:
        undo(place.scene, made.record.id)
    assert caught.value.hint == f"openclaw config rollback {made.record.id}"


def test_only_the_patches_of_the_named_groups_are_applied(tmp_path: Path) -> None:
    place = Place(tmp_path).make(0o755)
    place.write("openclaw.json", "{gateway: {controlUi: {allowedOrigins: ['*']}}}")
    assert [one.patch for one in mend(partial(place.scene), ["exposure"]).patches] == ["drop-useless-origins"]
    assert place.state.stat().st_mode & 0o777 == 0o755


def test_a_unit_that_says_otherwise_leaves_the_choice_to_the_operator(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    place.write("openclaw.json", f"{{gateway: {{auth: {{token: '{STRONG}'}}}}}}")
    place.write(".env", f"OPENCLAW_GATEWAY_TOKEN={OTHER}\n")
    assert [one.patch for one in plan(place.scene()).patches] == ["align-token-copies"]
    unit = tmp_path / ".config/systemd/user/openclaw.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nEnvironmentFile={tmp_path}/gateway.env\n")
    (tmp_path / "gateway.env").write_text(f"OPENCLAW_GATEWAY_TOKEN={STRONG}\n")
    assert plan(place.scene()).patches == ()
    parity = [one for one in examine(place.scene()) if one.id == "token.parity"]
    assert [(one.severity, one.patch) for one in parity] == [("error", "")] * 2


def test_a_configuration_elsewhere_and_files_of_others_keep_their_modes(tmp_path: Path) -> None:
    place = Place(tmp_path, {"OPENCLAW_CONFIG_PATH": str(tmp_path / "etc.json")}).make()
    (tmp_path / "etc.json").write_text("{}")
    (tmp_path / "etc.json").chmod(0o640)
    place.write(".env", "A=1\n", 0o644)
    found = {one.evidence: one.patch for one in examine(place.scene()) if one.id == "state.file-mode"}
    assert sorted(found.values()) == ["", "private-files"]
    somebody = place.scene(uid=os.getuid() + 1)
    assert plan(somebody) == Fix()
    mend(place.scene)
    assert (tmp_path / "etc.json").stat().st_mode & 0o777 == 0o640
    assert (place.state / ".env").stat().st_mode & 0o777 == 0o600


def test_nothing_is_mended_where_the_configuration_is_read_only(tmp_path: Path) -> None:
    place = Place(tmp_path, process={"OPENCLAW_CONFIG_READONLY": "1"}).make(0o777)
    with pytest.raises(NotSupported, match="OPENCLAW_CONFIG_READONLY is set"):
        mend(place.scene)
    assert place.state.stat().st_mode & 0o777 == 0o777
    assert fixes(place.scene().paths) == []
