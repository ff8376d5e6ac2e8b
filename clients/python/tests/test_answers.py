"""What requests and answers are read as, without a network."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from typing import Any, Dict, List, Optional

import pytest

from brownout_reporter._answer import (
    LOOKED_AT_BYTES_MAX,
    Events,
    Frames,
    Whole,
    decoder_for,
    error_body_fields,
)
from brownout_reporter._record import (
    BILLING_BODY,
    OVERLOADED_BODY,
    PAGE_BODY,
    QUOTA_BODY,
    cleaned,
)
from brownout_reporter._request import attempt_of, model_of

#: Method, path, body and the model that is called.
REQUESTS: List[Any] = [
    ("POST", "/v1/messages", {"max_tokens": 1, "messages": [], "model": "m"}, "m"),
    ("POST", "/v1/chat/completions", {"model": "a/b:free", "messages": []}, "a/b:free"),
    ("GET", "/v1/models", None, None),
    ("GET", "/v1/responses/x", {"model": "m"}, None),
    ("POST", "/v1/files", None, None),
    ("POST", "/v1/messages", {"messages": [{"model": "inner"}]}, None),
    ("POST", "/v1/messages", {"model": 7}, None),
    ("POST", "/v1/messages", {"model": ""}, None),
    ("POST", "/v1/messages", [{"model": "m"}], None),
    ("POST", "/v1/messages", b"not JSON \xff", None),
    ("POST", "/v1/messages/count_tokens", {"model": "m"}, None),
    ("POST", "/v1beta/models/gemini-2.5-flash:generateContent", {}, "gemini-2.5-flash"),
    ("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", {}, "gemini-2.5-flash"),
    ("POST", "/v1beta/models/gemini-2.5-flash:countTokens", {}, None),
    (
        "POST",
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@1:streamRawPredict",
        {"messages": []},
        "claude-x@1",
    ),
    ("POST", "/model/anthropic.claude-v1%3A0/converse", {}, "anthropic.claude-v1:0"),
    ("POST", "/model/arn:x:inference-profile/us.y/invoke", {}, "arn:x:inference-profile/us.y"),
    ("POST", "/model/arn%3Aaws%3Ax%2Fus.y/invoke-with-response-stream", {}, "arn:aws:x/us.y"),
    ("POST", "/openai/deployments/prod/chat/completions", {"model": "gpt"}, "prod"),
]


@pytest.mark.parametrize(("method", "path", "body", "model"), REQUESTS)
def test_the_model_of_a_request(method: str, path: str, body: Any, model: Optional[str]) -> None:
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    assert model_of(method, path, content) == model


def test_the_model_of_a_large_request_is_searched_for() -> None:
    picture = "x" * 1_000_000
    said = 'the "model": "fake" of a text'
    for body in (
        {"messages": [picture, said], "model": "m"},
        {"model": "m", "messages": [picture, said]},
        # Two keys of that name: only reading it tells.
        {"messages": [picture, {"model": "inner"}], "model": "m"},
    ):
        assert model_of("POST", "/v1/messages", json.dumps(body).encode()) == "m"


@pytest.mark.parametrize(
    ("value", "attempt"), [("0", 1), ("2", 3), ("", None), ("x", None), ("9" * 9, None)]
)
def test_the_number_of_a_try(value: str, attempt: Optional[int]) -> None:
    assert attempt_of({"x-stainless-retry-count": value}) == attempt


CLAUDE = (
    b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
    b'event: ping\ndata: {"type": "ping"}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n'
)
CLAUDE_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
CLAUDE_ERROR = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    b'"message":"Overloaded"}}\n\n'
)
CHUNK = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
OVERLOADED = {"error_type": "overloaded_error", "body": OVERLOADED_BODY}

#: A stream, and what is known at its end: content, complete, has_end, error.
STREAMS: Dict[str, Any] = {
    "whole": (CLAUDE + CLAUDE_END, (True, True, True, None)),
    "cut": (CLAUDE, (True, False, True, None)),
    "failed": (CLAUDE + CLAUDE_ERROR, (True, False, True, OVERLOADED)),
    "failed at once": (CLAUDE_ERROR, (False, False, False, OVERLOADED)),
    "carriage returns": (
        (CLAUDE + CLAUDE_ERROR).replace(b"\n", b"\r\n"),
        (True, False, True, OVERLOADED),
    ),
    "lone carriage returns": (
        (CLAUDE + CLAUDE_END).replace(b"\n", b"\r"),
        (True, True, True, None),
    ),
    "unreadable error": (b"event: error\ndata: oops\n\n", (False, False, False, {})),
    "chat": (ROLE + CHUNK + STOP + DONE, (True, True, True, None)),
    "chat without DONE": (ROLE + CHUNK + STOP, (True, True, True, None)),
    "chat cut": (ROLE + CHUNK, (True, False, True, None)),
    "chat without content": (ROLE, (False, False, True, None)),
    "chat error": (
        CHUNK + b'data: {"error":{"message":"m","type":"t","code":"server_is_overloaded"}}\n\n',
        (True, False, True, {"error_type": "t", "error_code": "server_is_overloaded"}),
    ),
    "DeepSeek gave up": (
        CHUNK + b'data: {"choices":[{"finish_reason":"insufficient_system_resource"}]}\n\n',
        (True, False, True, {"error_code": "insufficient_system_resource"}),
    ),
    "responses": (
        b'event: response.created\ndata: {"type":"response.created","response":{"error":null}}\n\n'
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n'
        b'event: response.completed\ndata: {"type":"response.completed"}\n\n',
        (True, True, True, None),
    ),
    "responses failed": (
        b'data: {"type":"response.failed","response":{"error":{"code":"server_error"}}}\n\n',
        (False, False, False, {"error_code": "server_error"}),
    ),
    "responses error": (
        b'data: {"type":"error","code":"server_is_overloaded","message":"busy"}\n\n',
        (False, False, False, {"error_code": "server_is_overloaded"}),
    ),
    "Gemini": (
        b'data: {"candidates":[{"content":{}}]}\r\n\r\n'
        b'data: {"candidates":[{"finishReason":"STOP"}]}\r\n\r\n',
        (True, True, True, None),
    ),
    "Gemini error": (
        b'data: {"error":{"code":503,"status":"UNAVAILABLE","message":"The model is overloaded."}}'
        b"\r\n\r\n",
        (
            False,
            False,
            False,
            {"error_type": "UNAVAILABLE", "error_code": "503", "body": OVERLOADED_BODY},
        ),
    ),
    "without its last line end": (CLAUDE + CLAUDE_END.rstrip(), (True, True, True, None)),
    "a line without end": (b"data: " + b"x" * 300_000, (True, False, False, None)),
    "unknown events": (b"data: 7\n\ndata: [1]\n\n: comment\n\n", (False, False, False, None)),
}


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize(("stream", "expected"), STREAMS.values(), ids=STREAMS.keys())
def test_streams_are_read_in_whatever_pieces_they_come(
    stream: bytes, expected: Any, step: int
) -> None:
    watcher = Events()
    for at in range(0, len(stream), step):
        watcher.feed(stream[at : at + step])
        assert len(watcher._line) <= LOOKED_AT_BYTES_MAX
    watcher.end()
    seen = (watcher.content, watcher.complete, watcher.has_end, watcher.error)
    assert seen == expected


def frame(headers: Dict[str, str], payload: bytes) -> bytes:
    """A message of Amazon's event stream."""
    packed = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack(">H", len(value))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, payload: bytes = b"{}") -> bytes:
    return frame({":message-type": "event", ":event-type": kind}, payload)


def chunk(inner: Dict[str, Any]) -> bytes:
    encoded = base64.b64encode(json.dumps(inner).encode()).decode()
    return event("chunk", json.dumps({"bytes": encoded}).encode())


EXCEPTION = frame({":message-type": "exception", ":exception-type": "throttlingException"}, b"{}")
FRAMES: Dict[str, Any] = {
    "converse": (
        event("messageStart") + event("contentBlockDelta") + event("messageStop"),
        (True, True, True, None),
    ),
    "converse cut": (event("messageStart") + event("contentBlockDelta"), (True, False, True, None)),
    "exception": (
        event("messageStart") + EXCEPTION,
        (False, False, True, {"error_type": "throttlingException"}),
    ),
    "invoke": (
        chunk({"type": "message_start"})
        + chunk({"type": "content_block_delta"})
        + chunk({"type": "message_stop"}),
        (True, True, True, None),
    ),
    "large": (
        event("contentBlockDelta", b"x" * 200_000) + event("messageStop"),
        (True, True, True, None),
    ),
    "not frames": (b"plain text, no frames at all", (False, False, False, None)),
}


@pytest.mark.parametrize("step", [1, 13, 1_000_000])
@pytest.mark.parametrize(("stream", "expected"), FRAMES.values(), ids=FRAMES.keys())
def test_event_stream_frames(stream: bytes, expected: Any, step: int) -> None:
    watcher = Frames()
    for at in range(0, len(stream), step):
        watcher.feed(stream[at : at + step])
        assert len(watcher._held) <= LOOKED_AT_BYTES_MAX + step
    watcher.end()
    assert (watcher.content, watcher.complete, watcher.has_end, watcher.error) == expected


#: An error answer and the fields that are kept of it.
ERRORS: Dict[str, Any] = {
    "Anthropic": (
        529,
        {},
        b'{"type":"error","error":{"details":null,"type":"overloaded_error","message":"x"}}',
        {"error_type": "overloaded_error"},
    ),
    "Anthropic's details": (
        429,
        {},
        b'{"error":{"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit"}}}',
        {"error_type": "rate_limit_error", "error_code": "enforced_spend_limit"},
    ),
    "the plan's limit": (
        429,
        {"anthropic-ratelimit-unified-status": "rejected"},
        b'{"error":{"type":"rate_limit_error"}}',
        {"error_type": "rate_limit_error", "body": QUOTA_BODY},
    ),
    "OpenAI": (
        429,
        {},
        b'{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}',
        {"error_type": "insufficient_quota", "error_code": "insufficient_quota"},
    ),
    "Google": (
        429,
        {},
        b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":'
        b'[{"@type":"q","violations":[{"quotaId":"RequestsPerDay"}]}]}}]',
        {"error_type": "RESOURCE_EXHAUSTED", "error_code": "RequestsPerDay"},
    ),
    "Bedrock": (
        503,
        {"x-amzn-errortype": "ServiceUnavailableException:http://internal.amazon.com/"},
        b'{"message":"Bedrock is busy"}',
        {"error_type": "ServiceUnavailableException"},
    ),
    "a message alone": (
        500,
        {},
        b'{"error":{"type":"api_error","message":"Overloaded: the prompt was X"}}',
        {"error_type": "api_error", "body": OVERLOADED_BODY},
    ),
    "money": (402, {}, b'{"error":{"message":"Insufficient  Balance"}}', {"body": BILLING_BODY}),
    "a page": (529, {"content-type": "text/html"}, b"<html>secret</html>", {"body": PAGE_BODY}),
    "Cloudflare's short form": (520, {}, b"error code: 520", {"body": "error code: 520"}),
    "text": (503, {}, b"upstream connect error", {}),
    "an error that is a string": (400, {}, b'{"error":"secret words"}', {}),
    "a type that is a sentence": (400, {}, b'{"error":{"type":"you said secret words"}}', {}),
    "cut": (500, {}, b'{"error":{"type":"api_er', {}),
    "nothing": (500, {}, b"", {}),
}


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"), ERRORS.values(), ids=ERRORS.keys()
)
def test_what_is_kept_of_an_error(
    status: int, headers: Dict[str, str], body: bytes, expected: Dict[str, Any]
) -> None:
    fields = error_body_fields(status, headers, body)
    assert fields == expected
    assert cleaned(fields) == expected, "and all of it may be sent"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"content":"the \\"error\\" of my ways"}', None),
        (b'{"id":"x","error":null}', None),
        (b'{"error":{"code":502,"message":"x"}}', {"error_code": "502"}),
        (b"<html>log in</html>", {"body": PAGE_BODY}),
        (b'{"error":{"code":502,"message":"' + b"x" * 100_000 + b'"}}', None),
    ],
)
def test_an_error_inside_a_200(body: bytes, error: Any) -> None:
    watcher = Whole(is_page=False)
    for at in range(0, len(body), 1_000):
        watcher.feed(body[at : at + 1_000])
        assert sum(map(len, watcher._held)) <= LOOKED_AT_BYTES_MAX
    watcher.end()
    assert watcher.error == error


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
)
def test_encodings_are_undone_as_they_come(encoding: str, encode: Any) -> None:
    decode = decoder_for(encoding, None)
    assert decode is not None
    data = encode(CLAUDE * 50)
    assert b"".join(decode(data[at : at + 10]) for at in range(0, len(data), 10)) == CLAUDE * 50


def test_an_unknown_encoding_is_left_alone() -> None:
    assert decoder_for("br", None) is None
    assert decoder_for("gzip, br", None) is None
