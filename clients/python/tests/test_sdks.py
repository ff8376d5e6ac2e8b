"""The SDKs of Anthropic and OpenAI, retries on: the daemon's counts are the simulator's ledger.

Whichever versions are installed run: the current ones on httpx2, older ones on httpx.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any, Callable, List

import anthropic
import openai
import pytest
from conftest import ASK, MARKER, WEATHER, Daemon, Recorder, Simulator, wait_until

import brownout_reporter
from brownout_reporter import Reporter

#: Calls of each kind: enough for every trouble to come, in streams too.
CALLS = 60


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the SDKs pause before a retry is not what is looked at here."""
    for sdk in (anthropic, openai):
        monkeypatch.setattr(sdk._base_client, "INITIAL_RETRY_DELAY", 0.001)
        monkeypatch.setattr(sdk._base_client, "MAX_RETRY_DELAY", 0.002)


def anthropic_url(simulator: Simulator) -> str:
    return f"{simulator.url}/anthropic"


def openai_url(simulator: Simulator) -> str:
    return f"http://localhost:{simulator.port}/openai/v1"


def attempted(call: Callable[[], Any]) -> None:
    # What the caller makes of a failure is the caller's affair.
    with contextlib.suppress(anthropic.APIError, openai.APIError):
        call()


async def attempted_async(call: Any) -> None:
    with contextlib.suppress(anthropic.APIError, openai.APIError):
        await call


def sync_calls(
    simulator: Simulator, reporter: Reporter, early: bool = False
) -> List[Callable[[], Any]]:
    """One of each kind: whole and streamed, of every API."""
    claude = anthropic.Anthropic(
        base_url=anthropic_url(simulator),
        api_key="any",
        http_client=brownout_reporter.http_client("anthropic", reporter=reporter, early=early),
    )
    gpt = brownout_reporter.watch(
        openai.OpenAI(base_url=openai_url(simulator), api_key="any"),
        reporter=reporter,
        early=early,
    )

    def claude_stream() -> None:
        with claude.messages.stream(model="m", max_tokens=64, messages=ASK) as stream:
            stream.get_final_message()

    def gpt_stream() -> None:
        for _ in gpt.chat.completions.create(model="m", messages=ASK, stream=True):
            pass

    def responses_stream() -> None:
        for event in gpt.responses.create(model="m", input=MARKER, stream=True):
            if event.type == "response.failed":
                break

    return [
        lambda: claude.messages.create(model="m", max_tokens=64, messages=ASK),
        claude_stream,
        lambda: gpt.chat.completions.create(model="m", messages=ASK),
        gpt_stream,
        lambda: gpt.responses.create(model="m", input=MARKER),
        responses_stream,
    ]


async def async_calls(simulator: Simulator, reporter: Reporter, count: int) -> None:
    claude = anthropic.AsyncAnthropic(
        base_url=anthropic_url(simulator),
        api_key="any",
        http_client=brownout_reporter.async_http_client("anthropic", reporter=reporter),
    )
    gpt = openai.AsyncOpenAI(
        base_url=openai_url(simulator),
        api_key="any",
        http_client=brownout_reporter.async_http_client("openai", reporter=reporter),
    )
    at_once = asyncio.Semaphore(8)

    async def claude_stream() -> None:
        async with claude.messages.stream(model="m", max_tokens=64, messages=ASK) as stream:
            await stream.get_final_message()

    async def gpt_stream() -> None:
        async for _ in await gpt.chat.completions.create(model="m", messages=ASK, stream=True):
            pass

    async def one() -> None:
        async with at_once:
            await attempted_async(claude.messages.create(model="m", max_tokens=64, messages=ASK))
            await attempted_async(claude_stream())
            await attempted_async(gpt.chat.completions.create(model="m", messages=ASK))
            await attempted_async(gpt_stream())

    async with claude, gpt:
        await asyncio.gather(*(one() for _ in range(count)))


def by_threads(simulator: Simulator, reporter: Reporter) -> None:
    def work() -> None:
        for _ in range(CALLS // 3):
            for call in calls:
                attempted(call)

    calls = sync_calls(simulator, reporter)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_asyncio(simulator: Simulator, reporter: Reporter) -> None:
    asyncio.run(async_calls(simulator, reporter, CALLS))


def one_by_one(simulator: Simulator, reporter: Reporter) -> None:
    for call in sync_calls(simulator, reporter):
        for _ in range(CALLS):
            attempted(call)


@pytest.mark.parametrize("run", [one_by_one, by_threads, by_asyncio])
def test_the_daemon_counts_what_the_simulator_sent(
    run: Callable[[Simulator, Reporter], None], daemon: Daemon, simulator: Simulator
) -> None:
    for provider in ("anthropic", "openai"):
        simulator.weather(provider, **WEATHER)
    reporter = Reporter(daemon.url, interval_s=0.05)
    run(simulator, reporter)
    assert reporter.flush(30)
    ledger = simulator.ledger()
    for target in ("anthropic/m", "openai/m"):
        for name in ("ok", "overloaded", "rate_limited", "unavailable"):
            assert ledger[target, name] > 0, f"the weather has {name}"
    wait_until("every attempt in /metrics", lambda: daemon.counts().total() >= ledger.total())
    assert daemon.counts() == ledger
    for target in ("anthropic/m", "openai/m"):
        window = daemon.health(target)["windows"]["24h"]
        for name in ("ok", "overloaded", "rate_limited", "unavailable"):
            assert window[name] == ledger[target, name], (target, name)
    assert reporter.stats["rejected"] == reporter.stats["dropped"] == 0


#: What is set in the weather, for what kind of call, and the class that the ledger enters.
TROUBLES = [
    ("overloaded", "overloaded"),
    ("rate_limited", "rate_limited"),
    ("quota_exhausted", "quota_exhausted"),
    ("billing", "billing"),
    ("auth", "auth"),
    ("unavailable", "unavailable"),
    ("server_error", "server_error"),
    ("reset", "network"),
    ("stream_overloaded", "overloaded"),
    ("stream_reset", "network"),
    ("drip", "ok"),
]


def test_every_kind_of_trouble_gets_its_class(daemon: Daemon, simulator: Simulator) -> None:
    reporter = Reporter(daemon.url, interval_s=0.05)
    calls = sync_calls(simulator, reporter)
    for kind, name in TROUBLES:
        for provider in ("anthropic", "openai"):
            simulator.weather(
                provider, **{kind: 1.0, "latency_ms": 1, "ttft_ms": 1, "retry_after_ms": 1}
            )
        before = simulator.ledger()
        for call in calls:
            try:
                call()
            except Exception as error:
                # SDKs pass on what the transport raised once the stream has begun.
                assert "rror" in type(error).__name__, error
        reporter.flush(30)
        ledger = simulator.ledger()
        assert {key[1] for key in ledger - before} == {name}, kind
        wait_until(
            f"{kind} in /metrics", lambda: daemon.counts().total() >= simulator.ledger().total()
        )
        assert daemon.counts() == ledger, kind


def test_nothing_said_to_a_model_is_reported(
    recorder: Recorder, reporter: Reporter, simulator: Simulator
) -> None:
    for provider in ("anthropic", "openai"):
        simulator.weather(provider, **{**WEATHER, "auth": 0.2, "overloaded": 0.2})
    for call in sync_calls(simulator, reporter):
        for _ in range(10):
            attempted(call)
    assert reporter.flush(30)
    asyncio.run(async_calls(simulator, reporter, 10))
    assert reporter.flush(30)
    assert len(recorder.records) >= 100
    allowed = {
        "id", "ts", "host", "model", "status", "error", "error_type", "error_code", "body",
        "phase", "attempt", "op", "ms", "ttft_ms", "request_id", "retry_after", "service",
    }  # fmt: skip
    for record in recorder.records:
        assert set(record) <= allowed, record
    for request in recorder.requests:
        assert MARKER.encode() not in request["raw"]
        # An answer's text is content, too; the simulator's begins so.
        assert b"weather is fair" not in request["raw"]
        assert request["headers"]["Authorization"] == "Bearer secret"
        assert len(request["headers"]["Idempotency-Key"]) >= 32


def test_a_record_tells_the_attempt_and_ties_it_to_its_call(
    recorder: Recorder, reporter: Reporter, simulator: Simulator
) -> None:
    simulator.weather("anthropic", overloaded=1.0, latency_ms=1)
    calls = sync_calls(simulator, reporter)
    attempted(calls[0])
    attempted(calls[0])
    assert reporter.flush(30)
    records = recorder.records
    assert [record["attempt"] for record in records] == [1, 2, 3, 1, 2, 3]
    ops = [record["op"] for record in records]
    assert len(set(ops[:3])) == len(set(ops[3:])) == 1
    assert ops[0] != ops[3]
    for record in records:
        assert record["host"] == f"127.0.0.1:{simulator.port}"
        assert (record["model"], record["status"]) == ("m", 529)
        assert record["error_type"] == "overloaded_error"
        assert record["request_id"].startswith("req_")
        assert record["service"] == "tests"
        assert record["ms"] >= 0
    assert len({record["id"] for record in records}) == 6


def test_a_stream_that_the_caller_leaves_is_no_failure_of_the_provider(
    recorder: Recorder, reporter: Reporter, simulator: Simulator
) -> None:
    simulator.weather("anthropic", drip=1.0, latency_ms=50, ttft_ms=1)
    simulator.weather("openai", drip=1.0, latency_ms=50, ttft_ms=1)
    claude = brownout_reporter.watch(
        anthropic.Anthropic(base_url=anthropic_url(simulator), api_key="any"), reporter=reporter
    )
    gpt = brownout_reporter.watch(
        openai.OpenAI(base_url=openai_url(simulator), api_key="any"), reporter=reporter
    )
    with claude.messages.create(model="m", max_tokens=64, messages=ASK, stream=True) as stream:
        for event in stream:
            if event.type == "content_block_delta":
                break
    with gpt.chat.completions.create(model="m", messages=ASK, stream=True) as chunks:
        for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                break
    assert reporter.flush(30)
    for record in recorder.records:
        assert (record["status"], record["error"]) == (200, "canceled")
        assert record["ttft_ms"] >= 0
    assert len(recorder.records) == 2


def test_a_timeout_is_a_timeout(
    recorder: Recorder, reporter: Reporter, simulator: Simulator
) -> None:
    simulator.weather("anthropic", slow=1.0, slow_ms=600_000)
    claude = brownout_reporter.watch(
        anthropic.Anthropic(
            base_url=anthropic_url(simulator), api_key="any", max_retries=0, timeout=0.2
        ),
        reporter=reporter,
    )
    with pytest.raises(anthropic.APITimeoutError):
        claude.messages.create(model="m", max_tokens=64, messages=ASK)

    async def canceled() -> None:
        patient = brownout_reporter.watch(
            anthropic.AsyncAnthropic(base_url=anthropic_url(simulator), api_key="any"),
            reporter=reporter,
        )
        call = patient.messages.create(model="m", max_tokens=64, messages=ASK)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(call, 0.2)

    asyncio.run(canceled())
    assert reporter.flush(30)
    errors = [record.get("error") for record in recorder.records]
    assert errors == ["read_timeout", "canceled"]
    assert all("status" not in record for record in recorder.records)
