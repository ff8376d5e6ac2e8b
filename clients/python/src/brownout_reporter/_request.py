"""What a request asks for: is it a call of a model, of which one, and which try is it?"""

from __future__ import annotations

import contextvars
import json
import re
import uuid
from typing import Any, Mapping, Optional, Tuple
from urllib.parse import unquote

#: Bodies up to this size are parsed; larger ones hold pictures, and their model is searched for.
_PARSED_BYTES_MAX = 256 * 1024

_PATH_MODELS = (
    # Gemini, and Vertex AI with its publishers.
    re.compile(
        r"/models/([^/:]+(?:/[^/:]+)*?):"
        r"(?:generateContent|streamGenerateContent|rawPredict|streamRawPredict|embedContent"
        r"|batchEmbedContents)\Z"
    ),
    # Bedrock; an inference profile's ARN comes percent-encoded and holds slashes.
    re.compile(r"/model/(.+)/(?:invoke|invoke-with-response-stream|converse|converse-stream)\Z"),
    # Azure's deployments, whose name is what the team knows the model by.
    re.compile(r"/openai/deployments/([^/]+)/.+\Z"),
)
#: Paths that name a model and run none.
_NO_CALL = re.compile(r"(?:/count_tokens|/batches|:countTokens|/input_tokens)\Z")
_IN_BODY = re.compile(rb'(?<!\\)"model"\s*:\s*"([^"\\]{1,256})"')


def model_of(method: str, path: str, content: Optional[bytes]) -> Optional[str]:
    """The model that a request calls; none where it calls none."""
    if method.upper() != "POST" or _NO_CALL.search(path):
        return None
    for pattern in _PATH_MODELS:
        found = pattern.search(path)
        if found:
            return unquote(found.group(1)) or None
    return _model_in_body(content) if content else None


def _model_in_body(content: bytes) -> Optional[str]:
    if b'"model"' not in content or content.lstrip()[:1] != b"{":
        return None
    if len(content) > _PARSED_BYTES_MAX:
        # A key inside a string has its quotes escaped, so only keys are found. Where they all name
        # one model there is nothing left to decide.
        names = {found.group(1) for found in _IN_BODY.finditer(content)}
        if len(names) == 1:
            return names.pop().decode("utf-8", "ignore") or None
    try:
        model = json.loads(content).get("model")
    except (ValueError, AttributeError, RecursionError):
        return None
    return model if isinstance(model, str) and model else None


def attempt_of(headers: Mapping[str, str]) -> Optional[int]:
    """The number of the try, from what the SDKs of Anthropic and OpenAI send with it."""
    count = headers.get("x-stainless-retry-count", "")
    return int(count) + 1 if count.isdigit() and len(count) < 6 else None


_call: "contextvars.ContextVar[Optional[Tuple[str, str, int]]]" = contextvars.ContextVar(
    "brownout_call", default=None
)


def op_of(
    host: str, model: str, attempt: Optional[int], headers: Mapping[str, str]
) -> Optional[str]:
    """What ties the attempts of a call together.

    SDKs send an idempotency key only where their provider takes one. But a retry follows its
    failure in the same thread or task, so the first try leaves a mark there that its retries find.
    """
    key = headers.get("idempotency-key")
    if key and len(key) <= 64:
        return key
    if attempt is None:
        return None
    target = f"{host} {model}"
    before = _call.get()
    op: Optional[str] = None
    if attempt == 1:
        op = uuid.uuid4().hex
    elif before is not None and before[0] == target and before[2] == attempt - 1:
        op = before[1]
    _call.set((target, op, attempt) if op else None)
    return op


def host_of(url: Any) -> str:
    """`host`, or `host:port` where the port says something."""
    port = url.port
    return f"{url.host}:{port}" if port else str(url.host)
