"""The transports around httpx and httpx2 themselves, whichever is installed."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import importlib.util
import json
import socket
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from conftest import MARKER, Recorder

import brownout_reporter
from brownout_reporter import AsyncReportingTransport, Reporter, ReportingTransport

LIBRARIES = [
    importlib.import_module(name)
    for name in ("httpx", "httpx2")
    if importlib.util.find_spec(name) is not None
]
BODY = {"model": "m", "messages": [MARKER]}
HEAD = b"HTTP/1.1 %d X\r\nconnection: close\r\n"


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


class Server:
    """Answers every connection with the same bytes; then hangs up, or waits for the client to."""

    def __init__(self, answer: bytes, hangs: bool = False) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._answer = answer
        self._hangs = hangs
        self._stopped = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(60)
                received = connection.recv(65536)
                # A request without the marker, or the hello of TLS, is answered at once.
                while MARKER.encode() not in received and received[:1] not in (b"G", b"\x16"):
                    more = connection.recv(65536)
                    if not more:
                        break
                    received += more
                connection.sendall(self._answer)
                if self._hangs:
                    connection.recv(1)

    def stop(self) -> None:
        self._stopped.set()
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: List[Server] = []

    def start(answer: bytes, hangs: bool = False) -> Server:
        servers.append(Server(answer, hangs))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def posted(library: Any, reporter: Reporter, url: str, **options: Any) -> Optional[BaseException]:
    """Posts a call of a model, whole, and returns what was raised."""
    transport = ReportingTransport(library.HTTPTransport(), reporter, **options)
    with library.Client(transport=transport, timeout=30) as client:
        try:
            client.post(url, json=BODY)
        except library.TransportError as error:
            return error  # type: ignore[no-any-return]
    return None


def posted_async(
    library: Any, reporter: Reporter, url: str, **options: Any
) -> Optional[BaseException]:
    async def run() -> Optional[BaseException]:
        transport = AsyncReportingTransport(library.AsyncHTTPTransport(), reporter, **options)
        async with library.AsyncClient(transport=transport, timeout=30) as client:
            try:
                await client.post(url, json=BODY)
            except library.TransportError as error:
                return error  # type: ignore[no-any-return]
            return None

    return asyncio.run(run())


WAYS = pytest.mark.parametrize("way", [posted, posted_async])


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@WAYS
@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:{unused}/", "connect_refused"),
        ("http://nowhere.invalid/", "dns"),
        ("https://127.0.0.1:{plain}/", "tls"),
    ],
)
def test_connections_that_fail(
    url: str,
    error: str,
    way: Any,
    library: Any,
    recorder: Recorder,
    reporter: Reporter,
    serve: Callable[..., Server],
) -> None:
    plain = serve(HEAD % 400 + b"\r\n").url.rsplit(":", 1)[1]
    raised = way(library, reporter, url.format(unused=unused_port(), plain=plain))
    assert raised is not None
    assert reporter.flush(30)
    (record,) = recorder.records
    assert record["error"] == error
    assert "status" not in record and record["model"] == "m"


SSE = b"content-type: text/event-stream\r\n"
CLAUDE = (
    b'event: message_start\ndata: {"type":"message_start"}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n'
)
CLAUDE_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
CLAUDE_ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'

#: An answer and what its record says beside the target.
ANSWERS: Dict[str, Any] = {
    "ok": (HEAD % 200 + b"\r\n{}", {"status": 200}),
    "stream": (HEAD % 200 + SSE + b"\r\n" + CLAUDE + CLAUDE_END, {"status": 200}),
    "stream, compressed": (
        HEAD % 200 + SSE + b"content-encoding: gzip\r\n\r\n" + gzip.compress(CLAUDE + CLAUDE_ERROR),
        {"status": 200, "phase": "stream", "error_type": "overloaded_error"},
    ),
    "stream that fails without a known word": (
        HEAD % 200 + SSE + b'\r\n' + CLAUDE + b'data: {"error":{"message":"Unheard of"}}\n\n',
        {"status": 200, "phase": "stream", "error_type": "server_error"},
    ),
    "stream that ends too early": (
        HEAD % 200 + SSE + b"\r\n" + CLAUDE,
        {"status": 200, "phase": "stream", "error": "eof_before_terminal"},
    ),
    "stream that breaks": (
        HEAD % 200 + SSE + b"content-length: 10000\r\n\r\n" + CLAUDE,
        {"status": 200, "phase": "stream", "error": "reset_mid_stream"},
    ),
    "broken after its end": (
        HEAD % 200 + SSE + b"content-length: 10000\r\n\r\n" + CLAUDE + CLAUDE_END,
        {"status": 200},
    ),
    "answer that breaks": (
        HEAD % 200 + b"content-length: 100\r\n\r\n{",
        {"status": 200, "phase": "stream", "error": "reset_mid_stream"},
    ),
    "error in a 200": (
        HEAD % 200 + b'\r\n{"error":{"code":502}}',
        {"status": 200, "error_code": "502"},
    ),
    "refusal": (
        HEAD % 429 + b"retry-after: 3\r\nrequest-id: req_1\r\n\r\n"
        b'{"error":{"type":"rate_limit_error"}}',
        {
            "status": 429,
            "error_type": "rate_limit_error",
            "retry_after": 3.0,
            "request_id": "req_1",
        },
    ),
    "refusal, compressed": (
        HEAD % 529
        + b"content-encoding: gzip\r\n\r\n"
        + gzip.compress(b'{"error":{"type":"overloaded_error"}}'),
        {"status": 529, "error_type": "overloaded_error"},
    ),
    "no answer": (b"", {"error": "reset_before_headers"}),
}
MEASURED = {"id", "ts", "ms", "ttft_ms", "host", "model", "service"}


@WAYS
@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answers(
    answer: bytes,
    expected: Dict[str, Any],
    way: Any,
    library: Any,
    recorder: Recorder,
    reporter: Reporter,
    serve: Callable[..., Server],
) -> None:
    way(library, reporter, serve(answer).url)
    assert reporter.flush(30)
    (record,) = recorder.records
    assert {name: record[name] for name in set(record) - MEASURED} == expected


@WAYS
def test_an_unread_refusal_is_looked_at_and_not_waited_for(
    way: Any,
    library: Any,
    recorder: Recorder,
    reporter: Reporter,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SDKs close it unread before they retry; its body may come late, or never."""
    monkeypatch.setattr(brownout_reporter._transport, "UNREAD_BODY_WAIT_S", 0.05)
    body = b'{"error":{"code":"server_is_overloaded"}}'
    whole = serve(HEAD % 503 + b"content-length: %d\r\n\r\n" % len(body) + body)
    stalled = serve(HEAD % 503 + b"content-length: 99\r\n\r\n", hangs=True)

    def run() -> None:
        transport = ReportingTransport(library.HTTPTransport(), reporter)
        with library.Client(transport=transport, timeout=600) as client:
            for server in (whole, stalled):
                request = client.build_request("POST", server.url, json=BODY)
                client.send(request, stream=True).close()

    async def run_async() -> None:
        transport = AsyncReportingTransport(library.AsyncHTTPTransport(), reporter)
        async with library.AsyncClient(transport=transport, timeout=600) as client:
            for server in (whole, stalled):
                request = client.build_request("POST", server.url, json=BODY)
                await (await client.send(request, stream=True)).aclose()

    if way is posted:
        run()
    else:
        asyncio.run(run_async())
    assert reporter.flush(30)
    told, untold = recorder.records
    assert (told["status"], told["error_code"]) == (503, "server_is_overloaded")
    assert (untold["status"], "error_code" in untold) == (503, False)


def test_requests_that_call_no_model_are_not_reported(
    library: Any, recorder: Recorder, reporter: Reporter, serve: Callable[..., Server]
) -> None:
    server = serve(HEAD % 200 + b"\r\n{}")
    with library.Client(transport=ReportingTransport(library.HTTPTransport(), reporter)) as client:
        client.get(server.url + "/v1/models")
        client.post(server.url + "/v1/files", content=MARKER)
    assert reporter.flush(30)
    assert recorder.requests == []


def test_the_answer_reaches_the_caller_unchanged(
    library: Any, reporter: Reporter, serve: Callable[..., Server]
) -> None:
    server = serve(HEAD % 200 + SSE + b"x-extra: 1\r\n\r\n" + CLAUDE + CLAUDE_END)
    with library.Client(transport=ReportingTransport(library.HTTPTransport(), reporter)) as client:
        response = client.post(server.url, json=BODY)
        assert response.content == CLAUDE + CLAUDE_END
        assert response.headers["x-extra"] == "1"
        with client.stream("POST", server.url, json=BODY) as response:
            assert b"".join(response.iter_raw()) == CLAUDE + CLAUDE_END


def test_an_answer_that_another_transport_has_read_already(
    library: Any, recorder: Recorder, reporter: Reporter
) -> None:
    def answer(request: Any) -> Any:
        return library.Response(529, json={"error": {"type": "overloaded_error"}})

    transport = ReportingTransport(library.MockTransport(answer), reporter, provider="mine")
    with library.Client(transport=transport) as client:
        assert client.post("http://gateway.test/v1/messages", json=BODY).status_code == 529
        assert client.post("http://gateway.test/v1/messages", content=iter([b"x"])).is_error
    assert reporter.flush(30)
    (record,) = recorder.records
    assert record["provider"] == "mine"
    assert record["host"] == "gateway.test"
    assert record["error_type"] == "overloaded_error"


@WAYS
def test_a_mistake_of_the_reporter_is_not_the_callers(
    way: Any,
    library: Any,
    recorder: Recorder,
    reporter: Reporter,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: Any) -> Any:
        raise ZeroDivisionError

    for name in ("model_of", "watcher_for", "error_body_fields"):
        with monkeypatch.context() as patch:
            patch.setattr(brownout_reporter._transport, name, broken)
            assert way(library, reporter, serve(HEAD % 429 + b"\r\n{}").url) is None
            assert way(library, reporter, serve(HEAD % 200 + b"\r\n{}").url) is None
    with monkeypatch.context() as patch:
        patch.setattr(brownout_reporter._answer.Whole, "feed", broken)
        assert way(library, reporter, serve(HEAD % 200 + b"\r\n{}").url) is None


def test_watching_twice_reports_once(
    library: Any, recorder: Recorder, reporter: Reporter, serve: Callable[..., Server]
) -> None:
    server = serve(HEAD % 200 + b"\r\n{}")
    client = library.Client()
    assert brownout_reporter.watch(client, reporter=reporter) is client
    brownout_reporter.watch(client, reporter=reporter)
    client.post(server.url, json=BODY)
    client.close()
    assert reporter.flush(30)
    assert len(recorder.records) == 1


def test_proxies_of_the_environment_stay(
    library: Any,
    recorder: Recorder,
    reporter: Reporter,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = serve(HEAD % 529 + b"\r\n{}")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    client = brownout_reporter.watch(library.Client(), reporter=reporter)
    assert client.post("http://api.anthropic.com/v1/messages", json=BODY).status_code == 529
    client.close()
    assert reporter.flush(30)
    (record,) = recorder.records
    assert (record["host"], record["status"]) == ("api.anthropic.com", 529)


def test_what_cannot_be_watched_is_told() -> None:
    with pytest.raises(TypeError, match="a dict cannot be watched; give a client of httpx"):
        brownout_reporter.watch({})


def test_nothing_of_the_prompt_is_kept(
    library: Any, recorder: Recorder, reporter: Reporter, serve: Callable[..., Server]
) -> None:
    echo = json.dumps({"error": {"type": MARKER + " x", "message": "overloaded " + MARKER}})
    posted(library, reporter, serve(HEAD % 500 + b"\r\n" + echo.encode()).url)
    assert reporter.flush(30)
    assert MARKER.encode() not in recorder.requests[0]["raw"]
    assert recorder.records[0]["status"] == 500
