"""What may be sent: the fields of a native outcome, each of its type and within its limit."""

from __future__ import annotations

import math
import re
from typing import Any, Dict, Mapping, Optional

_TEXT_BYTES_MAX = {
    "id": 64,
    "provider": 128,
    "host": 128,
    "model": 128,
    "region": 128,
    "account": 128,
    "class": 64,
    "error": 128,
    "error_type": 64,
    "error_code": 64,
    "phase": 64,
    "op": 64,
    "request_id": 128,
    "service": 64,
}
_NUMBERS = frozenset({"ts", "ms", "ttft_ms", "retry_after"})
_INTEGERS = frozenset({"status", "attempt", "n"})

#: Stand-ins for an error body whose wording or authorship decides its class. The body itself is
#: never sent; one of these constants is.
OVERLOADED_BODY = '{"error":{"message":"Overloaded"}}'
RATE_LIMITED_BODY = '{"error":{"message":"Too many requests"}}'
BILLING_BODY = '{"error":{"message":"Insufficient balance"}}'
QUOTA_BODY = '{"error":{"message":"You have reached your specified API usage limits"}}'
LONG_LIMIT_BODY = '{"error":{"message":"Limit per day"}}'
LONG_BODY = '{"error":{"message":"Per day"}}'
AUTH_BODY = '{"error":{"message":"Incorrect API key"}}'
LOADING_BODY = '{"error":{"message":"Loading model"}}'
UNAVAILABLE_BODY = '{"error":{"message":"Service unavailable"}}'
SERVER_ERROR_BODY = '{"error":{"message":"Internal server error"}}'
PAGE_BODY = "<!doctype html><html></html>"
_BODIES = frozenset(
    {
        *(OVERLOADED_BODY, RATE_LIMITED_BODY, BILLING_BODY, QUOTA_BODY, LONG_LIMIT_BODY, LONG_BODY),
        *(AUTH_BODY, LOADING_BODY, UNAVAILABLE_BODY, SERVER_ERROR_BODY, PAGE_BODY),
    }
)
_SHORT_BODY = re.compile(r"error code: \d{3,4}\Z")

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,63}\Z")


def word(value: Any) -> Optional[str]:
    """A short word without blanks, as envelopes carry types and codes; never a sentence."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        value = str(value)
    return value if isinstance(value, str) and _WORD.match(value) else None


def cleaned(record: Mapping[str, Any]) -> Dict[str, Any]:
    """The known fields of a record whose values can be right; the rest is left out, because one
    odd value must not cost the record, and an unknown field may hold anything."""
    kept: Dict[str, Any] = {}
    for name, value in record.items():
        if value is None:
            continue
        if name in _TEXT_BYTES_MAX:
            limit = _TEXT_BYTES_MAX[name]
            if name in ("error_type", "error_code"):
                value = word(value)
            if isinstance(value, str) and value:
                kept[name] = value.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
        elif name in _NUMBERS:
            number = _number(value)
            if number is not None:
                kept[name] = number
        elif name in _INTEGERS:
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                kept[name] = value
        elif name == "final":
            if isinstance(value, bool):
                kept[name] = value
        elif name == "body" and isinstance(value, str) and _is_stand_in(value):
            kept[name] = value
    return kept


def _is_stand_in(body: str) -> bool:
    return body in _BODIES or _SHORT_BODY.match(body) is not None


def _number(value: Any) -> Optional[float]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) and value >= 0 else None
