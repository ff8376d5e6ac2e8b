"""Early reports: a stream counts at its first content, and its end corrects or completes that."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import urllib.request
from typing import Any, Callable, Dict, Iterator, List, Optional

import anthropic
import openai
import pytest
from conftest import WEATHER, Daemon, Recorder, Simulator, wait_until
from test_sdks import sync_calls
from test_transports import CLAUDE, CLAUDE_END, CLAUDE_ERROR, LIBRARIES

import brownout_reporter
from brownout_reporter import AsyncReportingTransport, Reporter, ReportingTransport

TARGET = "anthropic/m"
BODY = {"model": "m", "messages": []}
STREAM = {"content-type": "text/event-stream"}


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for sdk in (anthropic, openai):
        monkeypatch.setattr(sdk._base_client, "INITIAL_RETRY_DELAY", 0.001)
        monkeypatch.setattr(sdk._base_client, "MAX_RETRY_DELAY", 0.002)


def work(calls: List[Callable[[], Any]]) -> None:
    for call in calls * 25:
        with contextlib.suppress(anthropic.APIError, openai.APIError):
            call()


def observed(daemon: Daemon, name: str) -> int:
    """How many observations a histogram holds."""
    with urllib.request.urlopen(f"{daemon.url}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    return sum(map(int, re.findall(rf"^{name}_count\{{.*\}} (\d+)$", text, re.M)))


def test_the_counts_are_the_ledgers(daemon: Daemon, simulator: Simulator) -> None:
    for provider in ("anthropic", "openai"):
        simulator.weather(provider, **{**WEATHER, "stream_overloaded": 0.1, "latency_ms": 20})
    reporter = Reporter(daemon.url, interval_s=0.05)
    calls = sync_calls(simulator, reporter, early=True)
    threads = [threading.Thread(target=work, args=(calls,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reporter.flush(30)
    ledger = simulator.ledger()
    wait_until("every attempt in /metrics", lambda: daemon.counts() == ledger)
    for target in (TARGET, "openai/m"):
        health = daemon.health(target)
        for name in ("ok", "overloaded", "rate_limited", "unavailable"):
            assert health["windows"]["24h"][name] == ledger[target, name] > 0, (target, name)
        # Nobody can tell that a refusal was the last, so nobody tells of calls.
        assert health["operations"] is None
    stats = reporter.stats
    assert stats["rejected"] == stats["dropped"] == 0
    assert stats["taken"] > ledger.total(), "streams were told of twice"
    oks = sum(count for (_, name), count in ledger.items() if name == "ok")
    assert observed(daemon, "brownout_request_duration_seconds") == oks


class Held:
    """A stream whose end waits until it is let go."""

    def __init__(self, end: bytes) -> None:
        self._end = end
        self.let_go = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield CLAUDE
        assert self.let_go.wait(60)
        yield self._end

    async def aiter(self) -> Any:
        yield CLAUDE
        assert await asyncio.to_thread(self.let_go.wait, 60)
        yield self._end


def read(library: Any, reporter: Reporter, stream: Held) -> None:
    inner = library.MockTransport(
        lambda request: library.Response(200, headers=STREAM, content=iter(stream))
    )
    transport = ReportingTransport(inner, reporter, provider="anthropic", early=True)
    with library.Client(transport=transport) as client:
        client.post("http://gateway.test/v1/messages", json=BODY)


def read_async(library: Any, reporter: Reporter, stream: Held) -> None:
    async def run() -> None:
        inner = library.MockTransport(
            lambda request: library.Response(200, headers=STREAM, content=stream.aiter())
        )
        transport = AsyncReportingTransport(inner, reporter, provider="anthropic", early=True)
        async with library.AsyncClient(transport=transport) as client:
            await client.post("http://gateway.test/v1/messages", json=BODY)

    asyncio.run(run())


def window(daemon: Daemon) -> Optional[Dict[str, int]]:
    found = daemon.health(TARGET)["windows"]["5m"]
    return {name: found[name] for name in ("attempts", "ok", "overloaded")}


@pytest.mark.parametrize("way", [read, read_async])
@pytest.mark.parametrize(
    ("end", "ok", "overloaded"), [(CLAUDE_END, 1, 0), (CLAUDE_ERROR, 0, 1)], ids=["ends", "fails"]
)
def test_a_stream_is_ok_while_it_runs_and_what_it_was_afterwards(
    end: bytes, ok: int, overloaded: int, way: Any, library: Any, daemon: Daemon
) -> None:
    reporter = Reporter(daemon.url, interval_s=0.05)
    stream = Held(end)
    reader = threading.Thread(target=way, args=(library, reporter, stream))
    reader.start()
    running = {"attempts": 1, "ok": 1, "overloaded": 0}
    wait_until("the stream's first content", lambda: window(daemon) == running)
    assert daemon.health(TARGET)["latency"]["p50_ms"] is None
    stream.let_go.set()
    reader.join()
    assert reporter.flush(30)
    ended = {"attempts": 1, "ok": ok, "overloaded": overloaded}
    if overloaded:
        wait_until("the correction", lambda: window(daemon) == ended)
    else:
        wait_until("its time", lambda: daemon.health(TARGET)["latency"]["p50_ms"] is not None)
        assert window(daemon) == ended
    assert observed(daemon, "brownout_request_duration_seconds") == ok
    assert reporter.stats["taken"] == 2


def test_the_records_of_a_stream(
    library: Any, recorder: Recorder, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for end in (CLAUDE_END, CLAUDE_ERROR):
        stream = Held(end)
        stream.let_go.set()
        read(library, reporter, stream)
    # What the daemon may have forgotten would count again.
    monkeypatch.setattr(brownout_reporter._transport, "ADMISSION_KNOWN_S", -1.0)
    stream = Held(CLAUDE_END)
    stream.let_go.set()
    read(library, reporter, stream)
    assert reporter.flush(30)
    good, ended, begun, failed, alone = recorder.records
    assert [one.get("phase") for one in recorder.records] == [
        *("admitted", None, "admitted", "stream", "admitted")
    ]
    assert good["op"] == ended["op"] != begun["op"] == failed["op"] != alone["op"]
    assert failed["error_type"] == "overloaded_error"
    assert len({one["id"] for one in recorder.records}) == 5
    for one in recorder.records:
        assert "ttft_ms" in one and ("ms" in one) == (one.get("phase") != "admitted")
        assert "final" not in one
