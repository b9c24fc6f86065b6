"""A stand-in for Amazon Bedrock. The official boto3 client attests its honesty (tests/models/bedrock/test_oracle.py).

Its event-stream encoder shares nothing with our reader; signatures are computed again with botocore.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from binascii import crc32
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Answer, Failure, Raw, Request, Script, StandIn, split_text

API_KEY = "bedrock-api-key-0123456789abcdef"
ACCESS_KEY = "AKIASTANDIN000000001"
SECRET_KEY = "stand-in/secret+key"
EVENT_STREAM = "application/vnd.amazon.eventstream"
MODELS = [
    {
        "modelId": "amazon.nova-lite-v1:0",
        "modelName": "Nova Lite",
        "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
        "inputModalities": ["TEXT", "IMAGE"],
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE"},
    },
    {
        "modelId": "anthropic.claude-stand-in-v1:0",
        "modelName": "Claude Stand-in",
        "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-stand-in-v1:0",
        "inputModalities": ["TEXT"],
        "inferenceTypesSupported": ["INFERENCE_PROFILE"],
        "modelLifecycle": {"status": "ACTIVE"},
    },
    {
        "modelId": "amazon.old-v1",
        "modelName": "Old",
        "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.old-v1",
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "LEGACY"},
    },
]
PROFILES = ["us.anthropic.claude-stand-in-v1:0", "eu.anthropic.claude-stand-in-v1:0", "us.amazon.old-v1-missing"]
_BY_STATUS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


class BedrockStandIn(StandIn):
    """`async with BedrockStandIn([Answer(text="hi")]) as s: … s.base_url …`. Shape: `proofs` is one per request."""

    def __init__(self, script: Script = ()) -> None:
        super().__init__(script)
        self.proofs: list[str] = []
        self.session_token = ""
        """The token that a signed request must show, "" for none."""

    def answer(self, request: Request, reply: Answer | Failure) -> Raw:
        """Put a reply into the provider's wire form."""
        refused = self._check(request)
        if refused:
            return _error(Failure(403, refused, "The security token included in the request is invalid."))
        path = request.path.partition("?")[0]
        if isinstance(reply, Failure) and reply.after is None:
            return _error(reply)
        if request.method == "GET":
            return _listing(request.path)
        _, room, model, operation = path.split("/", 3) if path.count("/") == 3 else ("", "", "", "")
        if room != "model" or not model:
            return _error(Failure(404, "UnknownOperationException", ""))
        if operation == "count-tokens":
            return Raw((_json({"inputTokens": 77}),))
        if operation.startswith("invoke"):
            return _invoked(reply, operation)
        if isinstance(reply, Failure):
            return _stream([*_events(Answer())[: 1 + (reply.after or 0)], _exception(reply)], Answer())
        if operation == "converse":
            return Raw((_json(_converse(reply)),), transport=reply.transport)
        if operation == "converse-stream":
            return _stream(_events(reply) + _ending(reply), reply)
        return _error(Failure(404, "UnknownOperationException", ""))

    def model_of(self, index: int) -> str:
        """Return the model that a request named."""
        return unquote(self.requests[index].path.split("/")[2])

    def _check(self, request: Request) -> str:
        proof = request.headers.get("authorization", "")
        if proof.startswith("Bearer "):
            self.proofs.append("bearer")
            return "" if proof == f"Bearer {API_KEY}" else "UnrecognizedClientException"
        if not proof.startswith("AWS4-HMAC-SHA256 "):
            self.proofs.append("none")
            return "MissingAuthenticationTokenException"
        found = dict(part.strip().split("=", 1) for part in proof.removeprefix("AWS4-HMAC-SHA256 ").split(","))
        access_key, _, region, service, _ = found["Credential"].split("/")
        self.proofs.append(f"sigv4 {region} {service}")
        if access_key != ACCESS_KEY:
            return "UnrecognizedClientException"
        if request.headers.get("x-amz-security-token", "") != self.session_token:
            return "ExpiredTokenException"
        return "" if signature(request, found, region, service) == found["Signature"] else "InvalidSignatureException"


def signature(request: Request, found: Mapping[str, str], region: str, service: str) -> str:
    """Compute the signature that the request should have had."""
    signed = {name: request.headers[name] for name in found["SignedHeaders"].split(";")}
    again = AWSRequest(request.method, f"http://{request.headers['host']}{request.path}", signed, request.body)
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), service, region)
    return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))


def message(headers: Mapping[str, object], payload: bytes) -> bytes:
    """Encode one message of an event stream."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    whole = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return whole + struct.pack(">I", crc32(whole))


def event(kind: str, payload: Mapping[str, Any]) -> bytes:
    """Encode an event, padded as Bedrock pads them."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, _json({**payload, "p": "abcdefghijkl"}))


def _header(name: str, value: object) -> bytes:
    head = struct.pack("B", len(name.encode())) + name.encode()
    match value:
        case bool():
            return head + (b"\x00" if value else b"\x01")
        case int():
            return head + b"\x05" + struct.pack(">q", value)
        case bytes():
            return head + b"\x06" + struct.pack(">H", len(value)) + value
        case _:
            text = str(value).encode()
            return head + b"\x07" + struct.pack(">H", len(text)) + text


def _exception(failure: Failure) -> bytes:
    name = failure.code or "internalServerException"
    headers = {
        ":exception-type": name[0].lower() + name[1:],
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return message(headers, _json({"message": failure.message}))


def _error(failure: Failure) -> Raw:
    name = failure.code or _BY_STATUS.get(failure.status, "")
    kind = {"x-amzn-ErrorType": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"} if name else {}
    body = {"message": failure.message}
    return Raw((_json(body),), failure.status, headers={**kind, **failure.headers})


def _stream(pieces: Sequence[bytes], reply: Answer) -> Raw:
    if reply.cut_event:
        pieces = [*pieces[:-1], pieces[-1][: len(pieces[-1]) // 2]]
    return Raw(tuple(pieces), content_type=EVENT_STREAM, transport=reply.transport, stream=True)


def _events(reply: Answer) -> list[bytes]:
    out = [event("messageStart", {"role": "assistant"})]
    index = 0

    def delta(what: Mapping[str, Any]) -> None:
        out.append(event("contentBlockDelta", {"contentBlockIndex": index, "delta": what}))

    def stop() -> None:
        nonlocal index
        out.append(event("contentBlockStop", {"contentBlockIndex": index}))
        index += 1

    if reply.thinking:
        for piece in split_text(reply.thinking, 2):
            delta({"reasoningContent": {"text": piece}})
        if reply.signature:
            delta({"reasoningContent": {"signature": reply.signature}})
        stop()
    if reply.text:
        for piece in split_text(reply.text, reply.pieces):
            delta({"text": piece})
        stop()
    for call in reply.calls:
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        out.append(event("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        for piece in split_text(call.arguments, 3):
            delta({"toolUse": {"input": piece}})
        stop()
    return out


def _ending(reply: Answer) -> list[bytes]:
    if reply.omit_finish:
        return []
    out = [event("messageStop", {"stopReason": _stop(reply)})]
    if not reply.omit_usage:
        out.append(event("metadata", {"usage": _usage(reply), "metrics": {"latencyMs": 7}}))
    return out


def _converse(reply: Answer) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if reply.thinking:
        thought = {"text": reply.thinking, "signature": reply.signature}
        content.append({"reasoningContent": {"reasoningText": thought}})
    if reply.text:
        content.append({"text": reply.text})
    for call in reply.calls:
        used = {"toolUseId": call.id, "name": call.name, "input": msgspec.json.decode(call.arguments)}
        content.append({"toolUse": used})
    out: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _stop(reply),
        "metrics": {"latencyMs": 7},
    }
    if reply.omit_finish:
        del out["stopReason"]
    if not reply.omit_usage:
        out["usage"] = _usage(reply)
    return out


def _stop(reply: Answer) -> str:
    return reply.finish or ("tool_use" if reply.calls else "end_turn")


def _usage(reply: Answer) -> dict[str, int]:
    return {
        "inputTokens": reply.input_tokens - reply.cached_tokens,
        "outputTokens": reply.output_tokens,
        "totalTokens": reply.input_tokens + reply.output_tokens,
        "cacheReadInputTokens": reply.cached_tokens,
        "cacheWriteInputTokens": 0,
    }


def _invoked(reply: Answer | Failure, operation: str) -> Raw:
    """An imported model speaks chat completions: whole, or each chunk in base64 in an event of its own."""
    streamed = operation == "invoke-with-response-stream"
    asked = Request("POST", "/v1/chat/completions", {}, _json({"stream": streamed}))
    if isinstance(reply, Failure):
        return _stream([_exception(reply)], Answer())
    inner = OpenAIStandIn().answer(asked, reply)
    if not streamed:
        return inner
    pieces = [piece.removeprefix(b"data: ").strip() for piece in inner.pieces]
    chunks = [piece for piece in pieces if piece and piece != b"[DONE]"]
    if not reply.omit_finish:
        counts = {"inputTokenCount": reply.input_tokens, "outputTokenCount": reply.output_tokens}
        last = {**msgspec.json.decode(chunks[-1]), "amazon-bedrock-invocationMetrics": counts}
        chunks[-1] = _json(last)
    return _stream([event("chunk", {"bytes": b64encode(chunk).decode()}) for chunk in chunks], reply)


def _listing(path: str) -> Raw:
    room, _, query = path.partition("?")
    if room == "/foundation-models":
        return Raw((_json({"modelSummaries": MODELS}),))
    if room != "/inference-profiles":
        return _error(Failure(404, "UnknownOperationException", ""))
    second = "nextToken=" in query
    rows = [
        {
            "inferenceProfileId": name,
            "inferenceProfileName": name.upper(),
            "inferenceProfileArn": f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{name}",
            "models": [],
            "status": "ACTIVE",
            "type": "SYSTEM_DEFINED",
        }
        for name in (PROFILES[2:] if second else PROFILES[:2])
    ]
    more = {} if second else {"nextToken": "page+2/="}
    return Raw((_json({"inferenceProfileSummaries": rows, **more}),))


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
