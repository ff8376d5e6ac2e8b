"""What an answer says about its attempt, seen while it passes to the caller.

A watcher is fed the bytes that the caller reads and keeps what decides the class: types and codes
of errors, whether content came, whether the stream reached its end. It holds one event at a time,
of bounded size, and never a text.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ._record import (
    AUTH_BODY,
    BILLING_BODY,
    LOADING_BODY,
    LONG_BODY,
    LONG_LIMIT_BODY,
    OVERLOADED_BODY,
    PAGE_BODY,
    QUOTA_BODY,
    RATE_LIMITED_BODY,
    SERVER_ERROR_BODY,
    UNAVAILABLE_BODY,
    word,
)

#: Largest event, error body or frame that is looked into; larger ones carry content, not errors.
LOOKED_AT_BYTES_MAX = 64 * 1024

#: What the format allows; more is another format.
FRAME_HEADERS_BYTES_MAX = 128 * 1024

# The phrases by which the daemon knows a class where no type or code says it. A message that holds
# one is replaced by a constant that holds it. A test compares the lists with the daemon's.
_OVERLOADED = (
    "overloaded",
    "at capacity",
    "over capacity",
    "high demand",
    "high traffic",
    "no capacity available",
    "out of capacity",
    "capacity exceeded",
    "is too busy",
    "server busy",
    "queue is full",
    "too many connections",
    "temporarily unable to process your request",
    "resource exhausted, please try again",
    "resource exhausted. please try again",
    "rate-limited upstream",
    "访问量过大",
)
_BILLING = (
    "credit balance is too low",
    "insufficient balance",
    "insufficient credits",
    "used all available credits",
    "please enable billing",
)
_USAGE_LIMIT = ("specified api usage limits", "specified workspace api usage limits")
_LONG_WINDOW = ("per day", "per-day", "/ day", "per month", "per-month", "/ month")
_AUTH = ("incorrect api key", "api key not valid")
_UNAVAILABLE = ("loading model",)
_UNAVAILABLE_PHRASES = ("service unavailable", "temporarily unavailable")
_SERVER_ERROR_PHRASES = ("internal server error",)
_RATE_LIMITED = ("rate limit", "too many requests", "too many tokens", "quota exceeded for")
_SHORT_BODY = re.compile(r"error code: \d{3,4}\Z")


def stand_in(message: str) -> Optional[str]:
    """The constant that says of a message what the daemon would read out of it."""
    text = " ".join(message[:2048].lower().split())
    # A day or a month stands for an allowance at some statuses only, unless it is called a limit.
    is_limit = "limit" in text or "quota" in text
    for phrases, constant in (
        (_BILLING, BILLING_BODY),
        (_USAGE_LIMIT, QUOTA_BODY),
        (_LONG_WINDOW, LONG_LIMIT_BODY if is_limit else LONG_BODY),
        (_AUTH, AUTH_BODY),
        (_OVERLOADED, OVERLOADED_BODY),
        (_UNAVAILABLE, LOADING_BODY),
        (_RATE_LIMITED, RATE_LIMITED_BODY),
        (_UNAVAILABLE_PHRASES, UNAVAILABLE_BODY),
        (_SERVER_ERROR_PHRASES, SERVER_ERROR_BODY),
    ):
        if any(phrase in text for phrase in phrases):
            return constant
    return None


def error_fields(document: Any) -> Dict[str, Any]:
    """`error_type`, `error_code` and perhaps a stand-in body, from a provider's error envelope."""
    if isinstance(document, list):
        document = document[0] if document else None
    if not isinstance(document, dict):
        return {}
    error = _error_in(document)
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        error = document
    details = error.get("details")
    fields: Dict[str, Any] = {}
    error_type = _first(error.get("type"), error.get("status"), error.get("__type"))
    if error_type is None and error is not document:
        error_type = _first(document.get("error_type"))
    if error_type is not None:
        fields["error_type"] = error_type
    error_code = _first(
        details.get("error_code") if isinstance(details, dict) else None,
        _reason(details),
        error.get("code"),
        _of(error.get("metadata"), "error_type"),
        error.get("reason"),
    )
    if error_code is not None:
        fields["error_code"] = error_code
    message = error.get("message") or document.get("message")
    if isinstance(message, str):
        constant = stand_in(message)
        if constant is not None:
            fields["body"] = constant
    return fields


def _error_in(document: Dict[str, Any]) -> Any:
    if document.get("error"):
        return document["error"]
    for wrapper in ("response", "data", "detail"):
        inner = document.get(wrapper)
        if isinstance(inner, dict) and inner.get("error"):
            return inner["error"]
    return None


def _of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _reason(details: Any) -> Any:
    """Google's word for what happened, or the name of the quota that is used up."""
    if not isinstance(details, list):
        return None
    for detail in details[:16]:
        violations = _of(detail, "violations")
        for violation in violations[:16] if isinstance(violations, list) else []:
            if _of(violation, "quotaId"):
                return violation["quotaId"]
        if _of(detail, "reason"):
            return detail["reason"]
    return None


def _first(*values: Any) -> Optional[str]:
    for value in values:
        found = word(value)
        if found is not None:
            return found
    return None


def error_body_fields(status: int, headers: Any, body: bytes) -> Dict[str, Any]:
    """The same from an error answer as a whole; `body` may be cut."""
    fields: Dict[str, Any] = {}
    text = body.decode("utf-8", "replace").strip()
    if text[:1] in ("{", "["):
        try:
            fields = error_fields(json.loads(text))
        except (ValueError, RecursionError):
            fields = {}
    elif text[:1] == "<" or "text/html" in headers.get("content-type", ""):
        fields = {"body": PAGE_BODY}
    elif _SHORT_BODY.match(text):
        fields = {"body": text}
    elif text and status >= 500:
        constant = stand_in(text)
        if constant is not None:
            fields["body"] = constant
    amazon = headers.get("x-amzn-errortype", "").split(":")[0].strip()
    if word(amazon):
        fields["error_type"] = amazon
    if status == 429 and headers.get("anthropic-ratelimit-unified-status", "") == "rejected":
        # The plan's allowance, told by a header only.
        fields["body"] = QUOTA_BODY
    return fields


class Watcher:
    """Looks at an answer's decoded bytes. One for each kind of answer."""

    #: Whether content has begun; the caller of `feed` notes when.
    content = False
    #: Whether the answer reached its own end.
    complete = False
    #: Whether the answer is of a kind that says when it ends.
    has_end = False
    #: Whether nothing can follow that matters.
    closed = False
    #: What an error inside the answer said.
    error: Optional[Dict[str, Any]] = None

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""

    def end(self) -> None:
        """There are no more bytes."""


class Whole(Watcher):
    """An answer in one piece, which may be an error with HTTP 200 (gateways do that)."""

    def __init__(self, is_page: bool) -> None:
        self._held: List[bytes] = []
        self._size = 0
        self._is_page = is_page

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= LOOKED_AT_BYTES_MAX:
            self._held.append(data)
        else:
            self._held = []

    def end(self) -> None:
        self.complete = True
        body = b"".join(self._held)
        self._held = []
        if self._is_page or body.lstrip()[:1] == b"<":
            self.error = {"body": PAGE_BODY}
            return
        if b'"error"' not in body:
            return
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return
        if isinstance(document, dict) and document.get("error"):
            self.error = error_fields(document)


class Events(Watcher):
    """Server-sent events of Anthropic, OpenAI (both APIs), Gemini and those who copy them."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._skipping = False
        self._after_cr = False
        self._event = b""
        self._data: List[bytes] = []
        self._data_size = 0

    def feed(self, data: bytes) -> None:
        for piece in data.splitlines(keepends=True):
            if self._after_cr:
                self._after_cr = False
                if piece == b"\n":
                    continue
            if not self._skipping:
                self._line += piece
                if len(self._line) > LOOKED_AT_BYTES_MAX:
                    # Only content is that long; that it came is all that matters.
                    self._skipping = True
                    self.content = True
                    self._line.clear()
            if piece.endswith((b"\n", b"\r")):
                self._after_cr = piece.endswith(b"\r")
                if self._skipping:
                    self._skipping = False
                    self._line.clear()
                    continue
                line = bytes(self._line).rstrip(b"\r\n")
                self._line.clear()
                self._take_line(line)

    def end(self) -> None:
        if self._line and not self._skipping:
            self._take_line(bytes(self._line))
            self._line.clear()
        self._dispatch()

    def _take_line(self, line: bytes) -> None:
        if not line:
            self._dispatch()
        elif line.startswith(b"data:"):
            self._data_size += len(line)
            if self._data_size <= LOOKED_AT_BYTES_MAX:
                self._data.append(line[5:].strip())
        elif line.startswith(b"event:"):
            self._event = line[6:].strip()
        elif line[:1] == b"{" and b'"error"' in line:
            # Some gateways write their error between the events, undecorated.
            self._take_event(b"", line)

    def _dispatch(self) -> None:
        event, data = self._event, b"\n".join(self._data)
        whole = self._data_size <= LOOKED_AT_BYTES_MAX
        self._event, self._data, self._data_size = b"", [], 0
        if data and whole:
            self._take_event(event, data)

    def _take_event(self, event: bytes, data: bytes) -> None:
        if data == b"[DONE]":
            self.has_end = self.complete = self.closed = True
            return
        name = event.decode("ascii", "ignore")
        if name in _CHATTER:
            # Most of a stream, and never an error: not worth parsing.
            self.has_end = True
            self.content = self.content or name.endswith("delta")
            return
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            if name == "error" and self.error is None:
                self.error = {}
            return
        self.take(name, document)

    def take(self, name: str, document: Any) -> None:
        """Takes one event, its name and what it holds."""
        if isinstance(document, list):
            document = document[0] if document else None
        if not isinstance(document, dict):
            return
        kind = document.get("type")
        kind = kind if isinstance(kind, str) else name
        if name == "error" or kind in ("error", "response.failed") or _error_in(document):
            fields = error_fields(document)
            if kind in ("error", "response.failed") and fields.get("error_type") == kind:
                del fields["error_type"]
            self.error = fields
            return
        if kind in _ENDS:
            self.has_end = self.complete = self.closed = True
        elif kind in _BEGINNINGS:
            self.has_end = True
        elif kind.endswith("delta"):
            self.has_end = self.content = True
        elif isinstance(document.get("choices"), list):
            self._take_choices(document["choices"])
        elif isinstance(document.get("candidates"), list):
            self._take_candidates(document["candidates"])

    def _take_choices(self, choices: List[Any]) -> None:
        self.has_end = True
        for choice in choices[:4]:
            delta = _of(choice, "delta")
            if isinstance(delta, dict) and any(delta.get(name) for name in _CONTENT):
                self.content = True
            reason = _of(choice, "finish_reason")
            if reason == "insufficient_system_resource":
                self.error = {"error_code": reason}
            elif reason == "error" and self.error is None:
                self.error = {"error_type": "server_error"}
            elif reason:
                # Not every copy of this format sends [DONE].
                self.complete = True

    def _take_candidates(self, candidates: List[Any]) -> None:
        self.has_end = self.content = True
        if any(_of(candidate, "finishReason") for candidate in candidates[:4]):
            self.complete = True


_CHATTER = frozenset(
    {
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
    }
)
_BEGINNINGS = frozenset({"message_start", "response.created", "response.in_progress"})
_ENDS = frozenset({"message_stop", "response.completed", "response.incomplete"})
_CONTENT = ("content", "tool_calls", "reasoning_content", "reasoning", "refusal", "function_call")


class Frames(Watcher):
    """Amazon's binary event stream (Bedrock), as far as headers and small payloads go."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skip = 0
        self._events = Events()

    def feed(self, data: bytes) -> None:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._held += data
        while len(self._held) >= 12:
            total = int.from_bytes(self._held[:4], "big")
            length = int.from_bytes(self._held[4:8], "big")
            if total < 16 or length > min(total - 16, FRAME_HEADERS_BYTES_MAX):
                # Not this format after all.
                self._held.clear()
                return
            if total > LOOKED_AT_BYTES_MAX:
                self.content = True
                self._skip = max(0, total - len(self._held))
                del self._held[:total]
                continue
            if len(self._held) < total:
                return
            frame = bytes(self._held[:total])
            del self._held[:total]
            self._take(dict(_frame_headers(frame[12 : 12 + length])), frame[12 + length : -4])

    def _take(self, headers: Dict[str, str], payload: bytes) -> None:
        exception = headers.get(":exception-type") or headers.get(":error-code")
        if exception is not None or headers.get(":message-type") in ("exception", "error"):
            self.error = {"error_type": word(exception)} if word(exception) else {}
            return
        event = headers.get(":event-type", "")
        if event in ("messageStop", "metadata"):
            self.has_end = self.complete = True
        elif event == "messageStart":
            self.has_end = True
        elif event == "contentBlockDelta":
            self.content = True
        elif event == "chunk":
            try:
                inner = json.loads(base64.b64decode(json.loads(payload)["bytes"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                return
            self._events.take("", inner)
            self.content = self._events.content
            self.complete = self._events.complete
            self.has_end = self._events.has_end
            self.error = self._events.error


def _frame_headers(data: bytes) -> Iterator[Tuple[str, str]]:
    """The text headers of a frame; others are stepped over."""
    sizes = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        name, kind = data[at + 1 : end].decode("utf-8", "ignore"), data[end : end + 1]
        at = end + 1
        if not kind:
            return
        if kind[0] in (6, 7):
            size = int.from_bytes(data[at : at + 2], "big")
            if kind[0] == 7:
                yield name, data[at + 2 : at + 2 + size].decode("utf-8", "ignore")
            at += 2 + size
        elif kind[0] in sizes:
            at += sizes[kind[0]]
        else:
            return


def watcher_for(headers: Any) -> Watcher:
    """The watcher for an answer with these headers."""
    kind = headers.get("content-type", "").lower()
    if "event-stream" in kind and "amazon" in kind:
        return Frames()
    if "text/event-stream" in kind:
        return Events()
    return Whole("text/html" in kind)


Decode = Callable[[bytes], bytes]


def decoder_for(encoding: str, library: Any) -> Optional[Decode]:
    """Undoes a content encoding; none where it cannot be undone, and then nothing is watched.

    `library` is httpx or httpx2, whose own decoders serve the encodings that need more than the
    standard library.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return lambda data: data
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
    if encoding == "deflate":
        return _Deflate().decode
    decoders = getattr(getattr(library, "_decoders", None), "SUPPORTED_DECODERS", {})
    make = decoders.get(encoding)
    if make is None:
        return None
    decoder = make()

    def decode(data: bytes) -> bytes:
        # httpx2's decoders yield pieces, httpx's return them whole.
        result = decoder.decode(data)
        return result if isinstance(result, bytes) else b"".join(result)

    return decode


class _Deflate:
    """`deflate` means zlib by the standard and raw deflate by habit."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj()
        self._tried = False

    def decode(self, data: bytes) -> bytes:
        try:
            return self._inner.decompress(data)
        except zlib.error:
            if self._tried:
                raise
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inner.decompress(data)
        finally:
            self._tried = True
