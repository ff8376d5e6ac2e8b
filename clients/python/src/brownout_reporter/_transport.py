"""Transports for httpx and httpx2 that report every HTTP exchange with a model.

A transport sees what the layers above it hide: each try of an SDK's retries, and trouble inside a
stream whose status was 200. The answer passes through unchanged and undelayed; a watcher looks at
the bytes as the caller reads them, and the record is made when the answer ends, breaks or is put
away. Both libraries are served by the same classes, which import neither.
"""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import time
import uuid
from typing import (
    TYPE_CHECKING,
    Any,
    AsyncIterator,
    Callable,
    Dict,
    Iterator,
    Optional,
    Type,
    Union,
)

from ._answer import LOOKED_AT_BYTES_MAX, Watcher, decoder_for, error_body_fields, watcher_for
from ._reporter import Reporter, shared
from ._request import attempt_of, host_of, model_of, op_of

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _SyncBase(httpx.BaseTransport, httpx2.BaseTransport):  # type: ignore[misc]
        """What type checkers may pass it for; at run time nothing asks."""

    class _AsyncBase(httpx.AsyncBaseTransport, httpx2.AsyncBaseTransport):  # type: ignore[misc]
        """The same."""

else:
    _SyncBase = _AsyncBase = object

log = logging.getLogger("brownout_reporter")

#: How long the body of a refusal that the caller throws away is waited for, in seconds: it comes
#: with its headers, and a retry must not wait for one that does not.
UNREAD_BODY_WAIT_S = 1.0

#: How long the daemon surely knows an admission, in seconds: a minute less than it says. Later a
#: success has no second record, as that would count as another attempt.
ADMISSION_KNOWN_S = 14 * 60.0

_REQUEST_IDS = ("request-id", "x-request-id", "x-amzn-requestid", "apim-request-id")

#: The library's exceptions, most special first, as the daemon's words: before the headers, after.
_ERRORS = {
    "ConnectTimeout": ("connect_timeout", "connect_timeout"),
    "ReadTimeout": ("read_timeout", "idle_timeout"),
    "WriteTimeout": ("read_timeout", "idle_timeout"),
    "TimeoutException": ("read_timeout", "idle_timeout"),
    "ConnectError": ("connect_refused", "connect_refused"),
    "ProxyError": ("connect_refused", "connect_refused"),
    "RemoteProtocolError": ("reset_before_headers", "reset_mid_stream"),
    "NetworkError": ("reset_before_headers", "reset_mid_stream"),
}
#: Nothing was sent: the caller's own mistake, or its own pool.
_NOT_SENT = frozenset({"PoolTimeout", "UnsupportedProtocol", "LocalProtocolError", "InvalidURL"})


def _transport_error(error: BaseException, in_stream: bool) -> Optional[Dict[str, Any]]:
    """What a failed exchange is reported as; none where there was no exchange."""
    if not isinstance(error, Exception):
        # The task was cancelled, the generator closed, the program interrupted.
        return {"error": "canceled"}
    for cls in type(error).__mro__:
        if cls.__name__ in _NOT_SENT:
            return None
        if cls.__name__ in ("ConnectError", "ProxyError"):
            return {"error": _connect_error(error)}
        if cls.__name__ in _ERRORS:
            return {"error": _ERRORS[cls.__name__][in_stream]}
    return {"class": "other"}


def _connect_error(error: BaseException) -> str:
    cause: Optional[BaseException] = error
    for _ in range(8):
        if isinstance(cause, ssl.SSLError):
            return "tls"
        if isinstance(cause, socket.gaierror):
            return "dns"
        if cause is None:
            break
        cause = cause.__cause__ or cause.__context__
    return "connect_refused"


class _Exchange:
    """One exchange from its request to its record. Every method swallows its own mistakes."""

    def __init__(self, settings: _Settings, record: Dict[str, Any]) -> None:
        self._settings = settings
        self._record = record
        self._started = time.monotonic()
        self._watcher: Optional[Watcher] = None
        self._decode: Optional[Callable[[bytes], bytes]] = None
        self._body = bytearray()
        self._headers: Any = {}
        self._admitted_at: Optional[float] = None
        self._done = False
        self.status = 0

    def answered(self, response: Any, library: Any) -> None:
        try:
            self.status = response.status_code
            self._headers = headers = response.headers
            record = self._record
            record["status"] = self.status
            for name in _REQUEST_IDS:
                if headers.get(name):
                    record["request_id"] = headers[name]
                    break
            retry_after = _seconds(headers)
            if retry_after is not None:
                record["retry_after"] = retry_after
            self._decode = decoder_for(headers.get("content-encoding", ""), library)
            if self._decode is not None and self.status < 400:
                self._watcher = watcher_for(headers)
        except Exception as error:
            self._mistake(error)

    def saw(self, data: bytes) -> None:
        try:
            if self._decode is None or self._done:
                return
            data = self._decode(data)
            if self._watcher is None:
                left = LOOKED_AT_BYTES_MAX - len(self._body)
                self._body += data[:left]
                return
            watcher = self._watcher
            watcher.feed(data)
            if watcher.content and "ttft_ms" not in self._record:
                self._record["ttft_ms"] = self._elapsed_ms()
                if self._settings.early and watcher.error is None:
                    self._admit()
            if watcher.closed or watcher.error is not None:
                # At once: a caller that has what it wants may never put the stream away.
                self._finish(None)
        except Exception as error:
            # What cannot be decoded is not looked at any more; the caller has its bytes anyway.
            self._watcher = self._decode = None
            self._mistake(error)

    def saw_whole(self, content: bytes) -> None:
        """The answer is here already, decoded."""
        self._decode = bytes
        self.saw(content)
        self.ended()

    def ended(self) -> None:
        """The answer was read to its end."""
        try:
            if self._done:
                return
            if self._watcher is not None:
                self._watcher.end()
            self._finish(None)
        except Exception as error:
            self._mistake(error)

    def failed(self, error: BaseException) -> None:
        """The exchange broke off."""
        try:
            if not self._done:
                in_stream = self.status != 0
                broken = _transport_error(error, in_stream)
                if broken is None:
                    self._done = True
                    return
                self._finish(broken)
        except Exception as mistake:
            self._mistake(mistake)

    def put_away(self) -> None:
        """The caller closed the answer, perhaps before its end."""
        try:
            if not self._done:
                self._finish({"error": "canceled"} if self.status < 400 else None)
        except Exception as error:
            self._mistake(error)

    def _finish(self, broken: Optional[Dict[str, Any]]) -> None:
        self._done = True
        record, watcher = self._record, self._watcher
        record["ms"] = self._elapsed_ms()
        if self.status >= 400:
            record.update(error_body_fields(self.status, self._headers, bytes(self._body)))
            self._body.clear()
        elif watcher is not None and watcher.error is not None:
            # Evidence of the provider outranks what became of the connection afterwards.
            record.update(watcher.error)
            if watcher.has_end or watcher.content or "event-stream" in self._kind():
                record["phase"] = "stream"
                if not watcher.error:
                    record["error_type"] = "server_error"
        elif broken is not None and not (watcher is not None and watcher.complete):
            if broken.get("error") == "canceled" and self._admitted_at is not None:
                return  # what was admitted stays so
            record.update(broken)
            if self.status:
                record["phase"] = "stream"
        elif watcher is not None and watcher.has_end and not watcher.complete:
            record.update(error="eof_before_terminal", phase="stream")
        elif self._admitted_at is not None and self._is_forgotten(self._admitted_at):
            return
        self._settings.reporter().report(record)

    def _admit(self) -> None:
        self._admitted_at = time.monotonic()
        record = dict(self._record, phase="admitted")
        self._settings.reporter().report(record)

    def _is_forgotten(self, admitted_at: float) -> bool:
        return time.monotonic() - admitted_at > ADMISSION_KNOWN_S

    def _kind(self) -> str:
        return str(self._headers.get("content-type", ""))

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1_000)

    def _mistake(self, error: BaseException) -> None:
        _complain_once(f"an answer could not be looked at: {type(error).__name__}")


_complained: set[str] = set()


def _complain_once(text: str) -> None:
    if text not in _complained and len(_complained) < 100:
        _complained.add(text)
        log.warning("%s (told once)", text)


def _seconds(headers: Any) -> Optional[float]:
    for name, unit in (("retry-after-ms", 1_000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    return None


class _Settings:
    """What all exchanges of a transport share."""

    def __init__(self, reporter: Optional[Reporter], provider: Optional[str], early: bool) -> None:
        self._reporter = reporter
        self._provider = provider
        self.early = early

    def reporter(self) -> Reporter:
        return self._reporter or shared()

    def exchange(self, request: Any) -> Optional[_Exchange]:
        """The exchange that a request begins; none where it calls no model."""
        try:
            try:
                content: Optional[bytes] = request.content
            except Exception:
                content = None  # a body that streams: its model may be in the path
            model = model_of(request.method, request.url.path, content)
            if model is None:
                return None
            host = host_of(request.url)
            attempt = attempt_of(request.headers)
            op = op_of(host, model, attempt, request.headers)
            record: Dict[str, Any] = {"host": host, "model": model}
            if self._provider:
                record["provider"] = self._provider
            if attempt is not None:
                record["attempt"] = attempt
            if self.early and op is None:
                op = uuid.uuid4().hex
            if op is not None:
                record["op"] = op
            return _Exchange(self, record)
        except Exception as error:
            _complain_once(f"a request could not be looked at: {type(error).__name__}")
            return None


def _library_of(response: Any) -> Any:
    """httpx or httpx2, whichever made the answer."""
    for cls in type(response).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return sys.modules[name]
    return None


def _limit_wait(request: Any) -> None:
    """Shortens the wait for a body that only we still read."""
    timeout = request.extensions.get("timeout")
    if isinstance(timeout, dict):
        read = timeout.get("read")
        timeout["read"] = min(read, UNREAD_BODY_WAIT_S) if read else UNREAD_BODY_WAIT_S


class _SyncStream:
    """The answer's bytes on their way to the caller."""

    def __init__(self, inner: Any, exchange: _Exchange, request: Any) -> None:
        self._inner = inner
        self._exchange = exchange
        self._request = request
        self._begun = False

    def __iter__(self) -> Iterator[bytes]:
        self._begun = True
        exchange = self._exchange
        try:
            for data in self._inner:
                exchange.saw(data)
                yield data
        except GeneratorExit:
            exchange.put_away()
            raise
        except BaseException as error:
            exchange.failed(error)
            raise
        exchange.ended()

    def close(self) -> None:
        try:
            if not self._begun and self._exchange.status >= 400:
                self._look_at_unread()
        finally:
            self._inner.close()
            self._exchange.put_away()

    def _look_at_unread(self) -> None:
        """SDKs throw a refusal's body away before they retry, and it may tell 503 from overload."""
        try:
            _limit_wait(self._request)
            size = 0
            for data in self._inner:
                self._exchange.saw(data)
                size += len(data)
                if size >= LOOKED_AT_BYTES_MAX:
                    return
        except Exception:
            return  # the status is known, and that will do


class _AsyncStream:
    """The same for asyncio and trio."""

    def __init__(self, inner: Any, exchange: _Exchange, request: Any) -> None:
        self._inner = inner
        self._exchange = exchange
        self._request = request
        self._begun = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._begun = True
        exchange = self._exchange
        try:
            async for data in self._inner:
                exchange.saw(data)
                yield data
        except GeneratorExit:
            exchange.put_away()
            raise
        except BaseException as error:
            exchange.failed(error)
            raise
        exchange.ended()

    async def aclose(self) -> None:
        try:
            if not self._begun and self._exchange.status >= 400:
                await self._look_at_unread()
        finally:
            try:
                await self._inner.aclose()
            finally:
                self._exchange.put_away()

    async def _look_at_unread(self) -> None:
        try:
            _limit_wait(self._request)
            size = 0
            async for data in self._inner:
                self._exchange.saw(data)
                size += len(data)
                if size >= LOOKED_AT_BYTES_MAX:
                    return
        except Exception:
            return


_stream_classes: Dict[Any, Type[Any]] = {}


def _stream_class(ours: Type[Any], library: Any, base: str) -> Type[Any]:
    """Our stream as a subclass of the library's, which checks for its own."""
    made = _stream_classes.get((ours, library.__name__))
    if made is None:
        made = type(ours.__name__.strip("_"), (ours, getattr(library, base)), {})
        _stream_classes[ours, library.__name__] = made
    return made


def _watched(exchange: _Exchange, request: Any, response: Any, ours: Type[Any], base: str) -> Any:
    """The response with its stream watched; untouched where that cannot be."""
    try:
        library = _library_of(response)
        if library is None:
            return response
        exchange.answered(response, library)
        if response.is_stream_consumed:
            # Another transport has read it already, and nobody will read the stream.
            exchange.saw_whole(response.content)
            return response
        cls = _stream_class(ours, library, base)
        response.stream = cls(response.stream, exchange, request)
    except Exception as error:
        _complain_once(f"an answer could not be watched: {type(error).__name__}")
    return response


class ReportingTransport(_SyncBase):
    """Wraps a transport of httpx or httpx2, as in
    `Client(transport=ReportingTransport(HTTPTransport()))`.

    `provider` names the provider where its host does not tell (a gateway, a host of your own).
    `early` reports a stream twice: at its first content, which counts as ok at once
    (`phase: "admitted"`), and at its end.
    """

    def __init__(
        self,
        transport: Union[httpx.BaseTransport, httpx2.BaseTransport, Any],
        reporter: Optional[Reporter] = None,
        *,
        provider: Optional[str] = None,
        early: bool = False,
    ) -> None:
        self._inner: Any = transport
        self._settings = _Settings(reporter, provider, early)

    def handle_request(self, request: Any) -> Any:
        exchange = self._settings.exchange(request)
        if exchange is None:
            return self._inner.handle_request(request)
        try:
            response = self._inner.handle_request(request)
        except BaseException as error:
            exchange.failed(error)
            raise
        return _watched(exchange, request, response, _SyncStream, "SyncByteStream")

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> ReportingTransport:
        self._inner.__enter__()
        return self

    def __exit__(self, *args: Any) -> None:
        self._inner.__exit__(*args)


class AsyncReportingTransport(_AsyncBase):
    """The same for `AsyncClient`."""

    def __init__(
        self,
        transport: Union[httpx.AsyncBaseTransport, httpx2.AsyncBaseTransport, Any],
        reporter: Optional[Reporter] = None,
        *,
        provider: Optional[str] = None,
        early: bool = False,
    ) -> None:
        self._inner: Any = transport
        self._settings = _Settings(reporter, provider, early)

    async def handle_async_request(self, request: Any) -> Any:
        exchange = self._settings.exchange(request)
        if exchange is None:
            return await self._inner.handle_async_request(request)
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException as error:
            exchange.failed(error)
            raise
        return _watched(exchange, request, response, _AsyncStream, "AsyncByteStream")

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> AsyncReportingTransport:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *args: Any) -> None:
        await self._inner.__aexit__(*args)
