"""tts.*, talk.*, voicewake.*, browser.request: this gateway neither speaks nor browses.

Reading answers with what there is (nothing, but in its whole shape); doing is refused with NOT_SUPPORTED. The wake
words are kept and told all the same: the devices that listen for them share one list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NoReturn

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import NotSupported
from openclaw.base.principal import Scope
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.store.shelf import Change

KIND: Final = "voicewake"
WORDS: Final = "triggers"
DEFAULT_WORDS: Final = ("openclaw", "claude", "computer")
MAX_WORDS: Final = 32

NotEmpty = Annotated[str, Meta(min_length=1, max_length=512)]
SpokenText = Annotated[str, Meta(min_length=1, max_length=8192)]


class TtsConvertParams(Params, frozen=True):
    """What to say."""

    text: SpokenText
    channel: str = ""
    provider: str = ""
    model_id: str = ""
    voice_id: str = ""
    speaker_voice_id: str = ""


class TtsSetProviderParams(Params, frozen=True):
    """Who would speak."""

    provider: NotEmpty


class TtsSetPersonaParams(Params, frozen=True):
    """As whom."""

    persona: str | None = None


class TtsSpeakParams(Params, frozen=True):
    """What to say."""

    text: SpokenText


class TalkSpeakParams(Params, frozen=True):
    """What to say, and how."""

    text: SpokenText
    voice_id: str = ""
    model_id: str = ""
    output_format: str = ""
    speed: float | UnsetType = UNSET
    rate_wpm: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    stability: float | UnsetType = UNSET
    similarity: float | UnsetType = UNSET
    style: float | UnsetType = UNSET
    speaker_boost: bool = False
    seed: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    normalize: str = ""
    language: str = ""
    latency_tier: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


class TalkModeParams(Params, frozen=True):
    """Whether a device talks with its user, and what it does just now."""

    enabled: bool
    phase: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET


class TalkConfigParams(Params, frozen=True):
    """There are no secrets to include."""

    include_secrets: bool = False


class VoicewakeSetParams(Params, frozen=True):
    """The wake words; no word means the usual ones."""

    triggers: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=MAX_WORDS)]


class BrowserRequestParams(Params, frozen=True):
    """A request to a browser under control."""

    method: Literal["GET", "POST", "DELETE"]
    path: NotEmpty
    query: dict[str, Any] | UnsetType = UNSET
    body: Any = UNSET
    timeout_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


def tts_status(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return that speech is off."""
    return {
        "enabled": False,
        "auto": "off",
        "provider": "",
        "persona": None,
        "personas": [],
        "fallbackProvider": None,
        "fallbackProviders": [],
        "prefsPath": "",
        "providerStates": [],
    }


def tts_providers(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return no providers."""
    return {"providers": [], "active": ""}


def tts_personas(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return no personas."""
    return {"active": None, "personas": []}


def tts_disable(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return that it is off, as it was."""
    return {"enabled": False}


def talk_mode(room: Room, peer: Peer, params: TalkModeParams) -> dict[str, Any]:
    """Pass on to the other clients what one of them does."""
    payload: dict[str, Any] = {"enabled": params.enabled, "phase": params.phase or None, "ts": room.deps.clock.now_ms()}
    room.deps.hub.broadcast("talk.mode", payload, owner=peer.principal)
    return payload


def talk_config(room: Room, peer: Peer, params: TalkConfigParams) -> dict[str, Any]:
    """Return no settings."""
    return {"config": {"talk": {}}}


def talk_catalog(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return that nothing can talk."""
    nothing: dict[str, Any] = {"ready": False, "providers": []}
    return {
        "modes": [],
        "transports": [],
        "brains": [],
        "speech": nothing,
        "transcription": nothing,
        "realtime": nothing,
    }


async def voicewake_get(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return the wake words."""
    shelf = room.deps.shelf
    record = None if shelf is None else await shelf.get(KIND, WORDS)
    words = DEFAULT_WORDS if record is None else msgspec.json.decode(record.body, type=tuple[str, ...])
    return {"triggers": words}


async def voicewake_set(room: Room, peer: Peer, params: VoicewakeSetParams) -> dict[str, Any]:
    """Keep the wake words and tell everybody."""
    if room.deps.shelf is None:
        raise NotSupported("this gateway keeps no wake words")
    words = tuple(dict.fromkeys(word for raw in params.triggers if (word := raw.strip()))) or DEFAULT_WORDS
    await room.deps.shelf.apply([Change(KIND, WORDS, msgspec.json.encode(words))], room.deps.clock.now_ms())
    room.deps.hub.broadcast("voicewake.changed", {"triggers": words})
    return {"triggers": words}


def voicewake_routing(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return that each device talks to the session it shows."""
    return {"config": {"version": 1, "defaultTarget": {"mode": "current"}, "routes": [], "updatedAtMs": 0}}


def _refuses(why: str) -> Callable[[Room, Peer, Any], NoReturn]:
    def refuse(room: Room, peer: Peer, params: Any) -> NoReturn:
        raise NotSupported(why)

    return refuse


def _refused(name: str, params: type[Params], scope: Scope, why: str, summary: str, *, since: int = 3) -> MethodSpec:
    text = f"{summary} Refused: {why}."
    return MethodSpec(name, params, scope, _refuses(why), text, "An error with code NOT_SUPPORTED.", since=since)


_MUTE: Final = "this gateway does not speak"

METHODS = (
    MethodSpec(
        "tts.status",
        NoParams,
        "operator.read",
        tts_status,
        "Says how speech stands: it is off.",
        "`{enabled: false, auto, provider, persona, personas[], fallbackProvider, fallbackProviders[], prefsPath, "
        "providerStates[]}`; protocol 3 has `hasOpenAIKey`, `hasElevenLabsKey` and `edgeEnabled` instead of personas "
        "and states.",
    ),
    MethodSpec(
        "tts.providers",
        NoParams,
        "operator.read",
        tts_providers,
        "Lists who can speak: nobody.",
        '`{providers: [], active: ""}`',
    ),
    MethodSpec(
        "tts.personas",
        NoParams,
        "operator.read",
        tts_personas,
        "Lists voices with a character: none.",
        "`{active: null, personas: []}`",
        since=4,
    ),
    _refused("tts.enable", NoParams, "operator.write", _MUTE, "Turns speech on."),
    MethodSpec(
        "tts.disable", NoParams, "operator.write", tts_disable, "Turns speech off, which it is.", "`{enabled: false}`"
    ),
    _refused("tts.convert", TtsConvertParams, "operator.write", _MUTE, "Turns text into speech."),
    _refused("tts.setProvider", TtsSetProviderParams, "operator.write", _MUTE, "Chooses who speaks."),
    _refused("tts.setPersona", TtsSetPersonaParams, "operator.write", _MUTE, "Chooses a voice.", since=4),
    _refused("tts.speak", TtsSpeakParams, "operator.write", _MUTE, "Says a text.", since=4),
    _refused("talk.speak", TalkSpeakParams, "operator.write", _MUTE, "Says a text in a conversation.", since=4),
    MethodSpec(
        "talk.mode",
        TalkModeParams,
        "operator.write",
        talk_mode,
        "Tells the caller's other clients, by the event `talk.mode`, whether a device is talking.",
        "`{enabled, phase, ts}`",
        rate=Rate(60, 10),
    ),
    MethodSpec(
        "talk.config",
        TalkConfigParams,
        "operator.read",
        talk_config,
        "Returns the settings of talking: there are none.",
        "`{config: {talk: {}}}`",
        since=4,
    ),
    MethodSpec(
        "talk.catalog",
        NoParams,
        "operator.read",
        talk_catalog,
        "Lists who can talk and listen: nobody.",
        "`{modes: [], transports: [], brains: [], speech, transcription, realtime: {ready: false, providers: []}}`",
        since=4,
    ),
    MethodSpec(
        "voicewake.get",
        NoParams,
        "operator.read",
        voicewake_get,
        "Returns the words that wake the devices which listen.",
        "`{triggers[]}`",
    ),
    MethodSpec(
        "voicewake.set",
        VoicewakeSetParams,
        "operator.write",
        voicewake_set,
        "Keeps those words and tells every client.",
        "`{triggers[]}`",
        rate=Rate(20, 1),
    ),
    MethodSpec(
        "voicewake.routing.get",
        NoParams,
        "operator.read",
        voicewake_routing,
        "Says whom a wake word reaches: the session that the device shows.",
        '`{config: {version: 1, defaultTarget: {mode: "current"}, routes: [], updatedAtMs}}`',
        since=4,
    ),
    _refused(
        "browser.request",
        BrowserRequestParams,
        "operator.write",
        "this gateway controls no browser",
        "Asks a browser for something.",
    ),
)
