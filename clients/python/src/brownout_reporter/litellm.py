"""LiteLLM: a logger that reports every attempt, and a filter that steers around overload.

LiteLLM tells its callbacks of a failure up to three times (its hook for each attempt, its event for
a request, the same for synchronous calls), maps Anthropic's 529 to 500, and tells one failure a
request at most through its events. So the logger takes an attempt from whichever comes first, knows
it again by the provider's own exception inside LiteLLM's, and reads the status there.

`logger` and `router_filter` are ready-made, for the proxy's configuration.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import threading
import time
from collections import OrderedDict
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from litellm.integrations.custom_logger import CustomLogger

from ._answer import error_body_fields, error_fields, stand_in
from ._health import HealthView
from ._reporter import Reporter, shared
from ._transport import _transport_error

log = logging.getLogger("brownout_reporter")

#: Providers of LiteLLM that only name the format, so that a host of one's own is somebody else.
_FORMATS = frozenset({"openai", "text-completion-openai", "custom_openai", "openai_like"})

#: What names a transport failure outside httpx: the class, and what it is as one of httpx.
_TRANSPORT_NAMES = frozenset(
    {
        "ConnectTimeout",
        "ReadTimeout",
        "WriteTimeout",
        "TimeoutException",
        "ConnectError",
        "ProxyError",
        "RemoteProtocolError",
        "NetworkError",
    }
)
_OTHER_TRANSPORT = {
    "ClientConnectorDNSError": "dns",
    "ClientConnectorSSLError": "tls",
    "ClientConnectorError": "connect_refused",
    "ConnectionTimeoutError": "connect_timeout",
    "ServerTimeoutError": "read_timeout",
    "ServerDisconnectedError": "reset_before_headers",
    "ClientPayloadError": "reset_mid_stream",
    "ConnectTimeoutError": "connect_timeout",
    "ReadTimeoutError": "read_timeout",
    "EndpointConnectionError": "connect_refused",
    "ConnectionClosedError": "reset_before_headers",
    "TimeoutError": "read_timeout",
    "ConnectionError": "reset_before_headers",
}

#: Attempts whose second telling is still expected.
_REMEMBERED = 2_000
_MARK = "_brownout_reported"

#: LiteLLM's name for a stream that failed after its beginning.
_BROKE_OFF = "MidStreamFallbackError"


class BrownoutLogger(CustomLogger):  # type: ignore[misc]
    """Reports LiteLLM's attempts: `litellm.callbacks = [BrownoutLogger()]`."""

    def __init__(self, reporter: Optional[Reporter] = None) -> None:
        super().__init__()
        self._reporter = reporter
        self._told: OrderedDict[Any, int] = OrderedDict()
        self._told_lock = threading.Lock()
        if not hasattr(CustomLogger, "async_post_call_failure_deployment_hook"):
            log.warning(
                "this LiteLLM tells of one failure a request at most, so recovered attempts are "
                "not reported; 1.106 and later tell of each"
            )

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: Any,
        fallback_depth: Optional[int] = None,
    ) -> None:
        self._safely(self._failed, request_data, exception, True)

    async def async_post_call_failure_hook(
        self,
        request_data: Mapping[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: Optional[str] = None,
    ) -> None:
        self._safely(self._broke_off, request_data, original_exception)

    async def async_log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._safely(self._failed, kwargs, kwargs.get("exception"), False, start_time, end_time)

    def log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._safely(self._failed, kwargs, kwargs.get("exception"), False, start_time, end_time)

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._safely(self._succeeded, kwargs, response_obj, start_time, end_time)

    def log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._safely(self._succeeded, kwargs, response_obj, start_time, end_time)

    def _safely(self, take: Any, *arguments: Any) -> None:
        try:
            take(*arguments)
        except Exception as error:
            log.debug("an attempt could not be reported: %s", type(error).__name__)

    def _report(self, record: Dict[str, Any]) -> None:
        (self._reporter or shared()).report(record)

    # Successes.

    def _succeeded(
        self, kwargs: Mapping[str, Any], response: Any, start_time: Any, end_time: Any
    ) -> None:
        if kwargs.get("cache_hit") is True:
            return
        if kwargs.get("stream") and _get(response, "object") == "chat.completion.chunk":
            return  # a piece; the whole comes at the end
        key = ("ok", kwargs.get("litellm_call_id"), _get(response, "id"))
        if not self._first(key):
            return
        record = _described(kwargs)
        if record is None:
            return
        record["status"] = 200
        headers = _additional_headers(kwargs)
        retries = headers.get("x-litellm-attempted-retries")
        if isinstance(retries, int):
            record["attempt"] = retries + 1
        record["request_id"] = headers.get("llm_provider-request-id") or headers.get("request-id")
        record["ms"] = _ms(start_time, end_time)
        if kwargs.get("stream"):
            record["ttft_ms"] = _ms(start_time, kwargs.get("completion_start_time"))
        self._report(record)

    def _first(self, key: Any) -> bool:
        with self._told_lock:
            if key in self._told:
                return False
            self._remember(key)
            return True

    # Failures.

    def _failed(
        self,
        kwargs: Mapping[str, Any],
        exception: Optional[BaseException],
        is_hook: bool,
        start_time: Any = None,
        end_time: Any = None,
    ) -> None:
        if exception is None or self._told_before(kwargs, exception, is_hook):
            return
        record = _described(kwargs)
        if record is None:
            return
        details = _details(kwargs)
        in_stream = not is_hook and details.get("completion_start_time") is not None
        evidence = _evidence(exception, in_stream)
        if evidence is None:
            return  # LiteLLM's own refusal: nothing was sent
        tries = evidence.pop("tries", 0)
        if tries and record.get("attempt") is not None:
            record["attempt"] += tries
        host = evidence.pop("host", None)
        if host and "host" not in record:
            record["host"] = host
        record.update(evidence)
        start = start_time if start_time is not None else details.get("start_time")
        record["ms"] = _ms(start, end_time)
        self._report(_without_format(record))

    def _broke_off(self, request_data: Mapping[str, Any], exception: BaseException) -> None:
        """A stream of the proxy's that failed after its beginning.

        The proxy tells its events of one failure a request. Where an earlier try was that one, only
        the proxy's own hook hears of the stream; it knows the group, the exception the deployment.
        """
        broken = next((e for e in _chain(exception) if type(e).__name__ == _BROKE_OFF), None)
        if broken is None:
            return
        metadata = _metadata(request_data)
        kwargs = {
            "model": _get(broken, "model"),
            "custom_llm_provider": _get(broken, "llm_provider"),
            "api_base": metadata.get("api_base"),
            "metadata": metadata,
            "litellm_call_id": request_data.get("litellm_call_id"),
            # Some content had come, or this would be another exception; when is not known here.
            "completion_start_time": 0,
        }
        self._failed(kwargs, broken, False)

    def _told_before(
        self, kwargs: Mapping[str, Any], exception: BaseException, is_hook: bool
    ) -> bool:
        """Whether this failure was taken already; it is taken now if not.

        The hook gets a copy of LiteLLM's exception, the events get the original; what both hold
        inside is the same.
        """
        anchor = _anchor(exception)
        if anchor is not None:
            loggers: Tuple[int, ...] = getattr(anchor, _MARK, ())
            if id(self) in loggers:
                return True
            try:
                setattr(anchor, _MARK, (*loggers, id(self)))
                return False
            except (AttributeError, TypeError):
                pass
        key = ("failed", kwargs.get("litellm_call_id"), type(exception).__name__)
        with self._told_lock:
            if is_hook:
                self._remember(key)
                return False
            if self._told.get(key, 0) > 0:
                self._told[key] -= 1
                return True
            return False

    def _remember(self, key: Any) -> None:
        self._told[key] = self._told.get(key, 0) + 1
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _details(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """LiteLLM's own notes of a call; the events get them, the hook gets their keeper."""
    details = getattr(kwargs.get("litellm_logging_obj"), "model_call_details", None)
    return details if isinstance(details, Mapping) else kwargs


def _metadata(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    params = kwargs.get("litellm_params")
    for holder in (kwargs, params if isinstance(params, Mapping) else {}):
        for name in ("litellm_metadata", "metadata"):
            metadata = holder.get(name)
            if isinstance(metadata, Mapping) and "attempted_retries" in metadata:
                return metadata
    return {}


def _described(kwargs: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Target, attempt and call; none without a model."""
    details = _details(kwargs)
    payload = details.get("standard_logging_object") or {}
    params = details.get("litellm_params") or {}
    model = details.get("model") or kwargs.get("model")
    provider = (
        details.get("custom_llm_provider")
        or params.get("custom_llm_provider")
        or kwargs.get("custom_llm_provider")
    )
    base = params.get("api_base") or payload.get("api_base") or kwargs.get("api_base")
    if not isinstance(model, str) or not model:
        return None
    if provider and model.startswith(f"{provider}/"):
        model = model[len(provider) + 1 :]
    elif not provider and "/" in model:
        provider, model = model.split("/", 1)
    record: Dict[str, Any] = {"model": model, "provider": provider}
    host = _host(base)
    if host:
        record["host"] = host
    retries = _metadata(kwargs).get("attempted_retries")
    record["attempt"] = retries + 1 if isinstance(retries, int) else 1
    if not (params.get("litellm_session_id") or kwargs.get("litellm_session_id")):
        # Without a session of the caller's, a trace is one call with its retries and fallbacks.
        op = kwargs.get("litellm_trace_id") or params.get("litellm_trace_id")
        op = op or details.get("litellm_trace_id") or payload.get("trace_id")
        if isinstance(op, str) and len(op) <= 64:
            record["op"] = op
    return _without_format(record)


def _without_format(record: Dict[str, Any]) -> Dict[str, Any]:
    host = record.get("host")
    bare = host.rsplit(":", 1)[0] if host else "api.openai.com"
    if record.get("provider") in _FORMATS and not bare.endswith(".openai.com"):
        del record["provider"]
    return record


def _host(base: Any) -> Optional[str]:
    if not isinstance(base, str) or not base:
        return None
    try:
        parts = urlsplit(base if "://" in base else f"//{base}")
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        return None


def _additional_headers(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = kwargs.get("standard_logging_object") or {}
    hidden = payload.get("hidden_params") or {}
    return hidden.get("additional_headers") or {}


def _ms(start: Any, end: Any) -> Optional[int]:
    """Milliseconds between two times; LiteLLM has them as dates and as seconds."""
    began, ended = _seconds(start), _seconds(end)
    if began is None:
        return None
    return max(0, round(((time.time() if ended is None else ended) - began) * 1_000))


def _seconds(value: Any) -> Optional[float]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    timestamp = getattr(value, "timestamp", None)
    return float(timestamp()) if callable(timestamp) else None


def _is_mapped(error: BaseException) -> bool:
    """Whether an exception is LiteLLM's translation, with a status and an answer of its making."""
    return type(error).__module__.startswith(("litellm.exceptions", "litellm.router"))


def _inner(error: BaseException) -> Optional[BaseException]:
    return error.__cause__ or error.__context__


def _chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    for _ in range(12):
        if error is None:
            return
        yield error
        error = _inner(error)


def _anchor(exception: BaseException) -> Optional[BaseException]:
    """The first exception inside that is not LiteLLM's translation."""
    return next((error for error in _chain(exception) if not _is_mapped(error)), None)


def _causes(exception: BaseException) -> List[BaseException]:
    """What lies below LiteLLM's translation, without the attempt before: a retry within an
    `except` has that one in its context."""
    causes: List[BaseException] = []
    for error in _chain(exception):
        if _is_mapped(error):
            continue
        if causes and hasattr(error, _MARK):
            break
        causes.append(error)
    return causes


def _evidence(exception: BaseException, in_stream: bool) -> Optional[Dict[str, Any]]:
    """What became of the attempt; none where no provider was asked."""
    causes = _causes(exception)
    answered = next((one for one in causes if _is_answer(one)), None)
    if answered is not None and not in_stream:
        return _from_answer(answered, causes)
    for error in causes:
        broken = _transport(error, in_stream)
        if broken is not None:
            if in_stream:
                broken.update(status=200, phase="stream")
            return broken
    if in_stream and causes:
        fields = _from_texts(causes, 200) or {"error_type": "server_error"}
        return {**fields, "status": 200, "phase": "stream"}
    for error in causes:
        status = getattr(error, "status_code", None)
        if isinstance(status, int) and _is_told(status, error):
            return {"status": status, **_from_texts(causes, status)}
    return None


def _is_answer(error: BaseException) -> bool:
    """Whether an exception holds the provider's answer. LiteLLM's own for a provider hold one too,
    made up from a status."""
    return any(
        cls.__name__ in ("HTTPStatusError", "APIStatusError")
        and not cls.__module__.startswith("litellm")
        for cls in type(error).__mro__
    ) and isinstance(getattr(getattr(error, "response", None), "status_code", None), int)


def _is_told(status: int, error: BaseException) -> bool:
    """Whether a status that stands alone was told by a provider: for what goes wrong before
    anything is sent, LiteLLM says 500 or a 4xx of the caller's."""
    return status in (408, 429) or 500 < status <= 599 or bool(getattr(error, "headers", None))


def _from_answer(error: BaseException, causes: List[BaseException]) -> Dict[str, Any]:
    response: Any = getattr(error, "response", None)
    status = response.status_code
    headers = response.headers
    record: Dict[str, Any] = {"status": status}
    for name in ("request-id", "x-request-id", "x-amzn-requestid"):
        if headers.get(name):
            record["request_id"] = headers[name]
            break
    with contextlib.suppress(KeyError, ValueError, TypeError):
        record["retry_after"] = max(0.0, float(headers["retry-after"]))
    try:
        request = response.request
        record["host"] = _host(str(request.url))
        hidden = request.headers.get("x-stainless-retry-count", "0")
        record["tries"] = int(hidden) if hidden.isdigit() else 0
    except Exception:
        record["tries"] = 0
    try:
        content = response.content
    except Exception:
        content = b""  # a stream that nobody read; its text is in the exceptions
    record.update(error_body_fields(status, headers, content[: 64 * 1024]))
    if not {"error_type", "error_code", "body"} & set(record):
        record.update(_from_texts(causes, status))
    return record


def _from_texts(causes: List[BaseException], status: int) -> Dict[str, Any]:
    """Types and codes out of what exceptions carry: a body, or a message with one in it."""
    for error in causes:
        fields: Dict[str, Any] = {}
        body = getattr(error, "body", None)
        if isinstance(body, dict):
            fields = error_fields(body if "error" in body else {"error": body})
        for text in (getattr(error, "message", None), getattr(error, "text", None), str(error)):
            if fields:
                break
            if isinstance(text, bytes):
                text = text.decode("utf-8", "replace")
            if not isinstance(text, str):
                continue
            fields = _from_text(text, status)
        if fields:
            return fields
    return {}


def _from_text(text: str, status: int) -> Dict[str, Any]:
    text = text[: 64 * 1024]
    start = text.find("{")
    if start >= 0:
        try:
            document, _ = json.JSONDecoder().raw_decode(text[start:])
            return error_fields(document)
        except (ValueError, RecursionError):
            return {}
    if status == 200 or status == 429 or status >= 500:
        constant = stand_in(text)
        if constant is not None:
            return {"body": constant}
    return {}


def _transport(error: BaseException, in_stream: bool) -> Optional[Dict[str, Any]]:
    names = [cls.__name__ for cls in type(error).__mro__]
    if any(name in _TRANSPORT_NAMES for name in names):
        return _transport_error(error, in_stream)
    for name in names:
        if name in _OTHER_TRANSPORT:
            return {"error": _OTHER_TRANSPORT[name]}
    if type(error).__name__ == "CancelledError":
        return {"error": "canceled"}
    return None


class BrownoutFilter(CustomLogger):  # type: ignore[misc]
    """Leaves out deployments whose target is overloaded or unavailable, as long as others remain.

    Reads `/v1/health` in the background and never waits for it. Whatever is not known to be bad
    stays: no answer, an old one, an unknown target. A share of the traffic stays with a bad target
    where the daemon's advice names one, so that its recovery is seen.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        *,
        avoid: Tuple[str, ...] = ("overloaded", "unavailable"),
        every_s: float = 2.0,
    ) -> None:
        super().__init__()
        self._avoid = frozenset(avoid)
        self._view = HealthView(url, every_s=every_s)

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: List[Any],
        messages: Any,
        request_kwargs: Optional[Dict[str, Any]] = None,
        parent_otel_span: Any = None,
    ) -> List[Any]:
        try:
            kept = [one for one in healthy_deployments if not self._is_bad(one)]
            return kept or healthy_deployments
        except Exception as error:
            log.debug("deployments could not be filtered: %s", type(error).__name__)
            return healthy_deployments

    def _is_bad(self, deployment: Any) -> bool:
        name = target_of(deployment)
        target = self._view.target(*name) if name is not None else None
        if target is None or target.get("stale") or target.get("state") not in self._avoid:
            return False
        advice = target.get("advice")
        share = advice.get("traffic_fraction") if isinstance(advice, dict) else None
        return not (isinstance(share, (int, float)) and random.random() < share)


def target_of(deployment: Any) -> Optional[Tuple[str, str]]:
    """Provider and model of a deployment, in LiteLLM's words; the daemon knows most of them."""
    params = _get(deployment, "litellm_params")
    model = _get(params, "model")
    if not isinstance(model, str) or not model:
        return None
    provider = _get(params, "custom_llm_provider")
    if not provider:
        import litellm

        try:
            model, provider, _, _ = litellm.get_llm_provider(
                model=model, api_base=_get(params, "api_base")
            )
        except Exception:
            provider, _, model = model.rpartition("/")
    elif model.startswith(f"{provider}/"):
        model = model[len(provider) + 1 :]
    return (provider, model) if provider else None


def __getattr__(name: str) -> Any:
    """`logger` and `router_filter`, made when the proxy's configuration asks for them."""
    makers = {"logger": BrownoutLogger, "router_filter": BrownoutFilter}
    if name not in makers:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = makers[name]()
    return made
