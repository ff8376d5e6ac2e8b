"""LiteLLM as SDK and as router: the 529 that it turns into 500 is reported as what it was."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any, Dict, Iterator, List

import litellm
import pytest
from conftest import ASK, MARKER, WEATHER, Daemon, Recorder, Simulator, wait_until

from brownout_reporter import Reporter
from brownout_reporter.litellm import BrownoutFilter, BrownoutLogger, target_of

#: Calls of each kind.
CALLS = 50
litellm.suppress_debug_info = True


@pytest.fixture
def clean() -> Iterator[None]:
    """LiteLLM's callbacks are the process's, and copied into lists of many names."""
    litellm.logging_callback_manager._reset_all_callbacks()
    yield
    litellm.logging_callback_manager._reset_all_callbacks()


def anthropic_params(simulator: Simulator) -> Dict[str, Any]:
    return {
        "model": "anthropic/m",
        "api_base": f"{simulator.url}/anthropic",
        "api_key": "any",
    }


def openai_params(simulator: Simulator) -> Dict[str, Any]:
    # The SDK inside retries by itself, unseen, unless it is told not to.
    return {
        "model": "openai/m",
        "api_base": f"http://localhost:{simulator.port}/openai/v1",
        "api_key": "any",
    }


async def drained(call: Any) -> None:
    """The answer of a call, streamed or not, or its failure."""
    with contextlib.suppress(Exception):
        answer = await call
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass


def drained_sync(make: Any) -> None:
    with contextlib.suppress(Exception):
        answer = make()
        if hasattr(answer, "__iter__") and hasattr(answer, "completion_stream"):
            for _ in answer:
                pass


async def sdk(simulator: Simulator) -> None:
    for params in (anthropic_params(simulator), openai_params(simulator)):
        for stream in (False, True):
            for _ in range(CALLS):
                await drained(
                    litellm.acompletion(
                        messages=ASK, max_tokens=64, stream=stream, max_retries=0, **params
                    )
                )


async def router(simulator: Simulator) -> None:
    balancer = litellm.Router(
        model_list=[
            {"model_name": "claude", "litellm_params": anthropic_params(simulator)},
            {"model_name": "gpt", "litellm_params": openai_params(simulator)},
        ],
        num_retries=2,
        retry_after=0,
        disable_cooldowns=True,
    )
    at_once = asyncio.Semaphore(8)

    async def one(group: str, stream: bool) -> None:
        async with at_once:
            await drained(
                balancer.acompletion(model=group, messages=ASK, max_tokens=64, stream=stream)
            )

    for group in ("claude", "gpt"):
        for stream in (False, True):
            await asyncio.gather(*(one(group, stream) for _ in range(CALLS)))


async def sdk_sync(simulator: Simulator) -> None:
    def work() -> None:
        for params in (anthropic_params(simulator), openai_params(simulator)):
            for stream in (False, True):
                for _ in range(CALLS):
                    drained_sync(
                        lambda params=params, stream=stream: litellm.completion(
                            messages=ASK, max_tokens=64, stream=stream, max_retries=0, **params
                        )
                    )

    await asyncio.get_running_loop().run_in_executor(None, work)


@pytest.mark.parametrize("run", [sdk, router, sdk_sync])
def test_the_daemon_counts_what_the_simulator_sent(
    run: Any, daemon: Daemon, simulator: Simulator, clean: None
) -> None:
    for provider in ("anthropic", "openai"):
        simulator.weather(provider, **WEATHER)
    reporter = Reporter(daemon.url, interval_s=0.05)
    litellm.callbacks = [BrownoutLogger(reporter)]

    async def run_and_settle() -> None:
        await run(simulator)
        # LiteLLM calls back from tasks and threads of its own, some time after the answer.
        total = simulator.ledger().total()
        for _ in range(3_000):
            if reporter.stats["taken"] >= total:
                break
            await asyncio.sleep(0.01)

    asyncio.run(run_and_settle())
    assert reporter.flush(30)
    ledger = simulator.ledger()
    for name in ("ok", "overloaded", "rate_limited", "unavailable"):
        assert ledger["anthropic/m", name] > 0 and ledger["openai/m", name] > 0, name
    wait_until("every attempt in /metrics", lambda: daemon.counts().total() >= ledger.total())
    assert daemon.counts() == ledger


#: What is set in the weather, whether the answer streams, and the class that the ledger enters.
TROUBLES = [
    ("overloaded", False, "overloaded"),
    ("overloaded", True, "overloaded"),
    ("rate_limited", True, "rate_limited"),
    ("quota_exhausted", False, "quota_exhausted"),
    ("billing", False, "billing"),
    ("auth", False, "auth"),
    ("unavailable", True, "unavailable"),
    ("server_error", False, "server_error"),
    ("reset", False, "network"),
    ("reset", True, "network"),
    ("stream_overloaded", True, "overloaded"),
    ("stream_reset", True, "network"),
    ("slow", False, "timeout"),
]


def test_every_kind_of_trouble_gets_its_class(
    daemon: Daemon, simulator: Simulator, clean: None
) -> None:
    reporter = Reporter(daemon.url, interval_s=0.05)
    litellm.callbacks = [BrownoutLogger(reporter)]

    async def run() -> None:
        for kind, stream, name in TROUBLES:
            before = simulator.ledger()
            for provider, params in (
                ("anthropic", anthropic_params(simulator)),
                ("openai", openai_params(simulator)),
            ):
                simulator.weather(
                    provider, **{kind: 1.0, "latency_ms": 1, "ttft_ms": 1, "slow_ms": 600_000}
                )
                patience = 2.0 if kind == "slow" else 60.0
                await drained(
                    litellm.acompletion(
                        messages=ASK,
                        max_tokens=64,
                        stream=stream,
                        max_retries=0,
                        timeout=patience,
                        **params,
                    )
                )
            while reporter.stats["taken"] < simulator.ledger().total():
                await asyncio.sleep(0.01)
            assert reporter.flush(30)
            # That a client hung up is noticed a little later, and only if its loop runs on.
            while {key[1] for key in simulator.ledger() - before} != {name}:
                await asyncio.sleep(0.01)
            while daemon.counts() != simulator.ledger():
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 120))


class Watched(BrownoutLogger):
    """Keeps what LiteLLM itself says beside what is reported."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(reporter)
        self.codes: List[Any] = []

    async def async_log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        payload = kwargs["standard_logging_object"]
        self.codes.append(payload["error_information"]["error_code"])
        await super().async_log_failure_event(kwargs, response_obj, start_time, end_time)


def test_litellm_says_500_and_the_record_says_529(
    recorder: Recorder, reporter: Reporter, simulator: Simulator, clean: None
) -> None:
    simulator.weather("anthropic", overloaded=0.5, latency_ms=1)
    before = simulator.ledger()
    logger = Watched(reporter)
    litellm.callbacks = [logger]
    group = {"model_name": "opus", "litellm_params": anthropic_params(simulator)}
    balancer = litellm.Router(
        model_list=[group], num_retries=2, retry_after=0, disable_cooldowns=True
    )

    async def run() -> None:
        for _ in range(4):
            await drained(balancer.acompletion(model="opus", messages=ASK, max_tokens=64))
        attempts = simulator.ledger() - before
        assert attempts.total() > 4, "there were retries"
        while reporter.stats["taken"] < attempts.total() or not logger.codes:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 60))
    assert reporter.flush(30)
    assert set(logger.codes) == {"500"}
    records = sorted(recorder.records, key=lambda record: float(record["ts"]))
    failed = [record for record in records if record["status"] != 200]
    assert {record["status"] for record in failed} == {529}
    assert {record["error_type"] for record in failed} == {"overloaded_error"}
    for record in records:
        assert (record["provider"], record["model"]) == ("anthropic", "m"), "not the group's name"
        assert record["host"] == f"127.0.0.1:{simulator.port}"
        assert record["request_id"].startswith("req_")
    # A failure and the retry that recovered it are one call.
    recovered = {record["op"]: record["attempt"] for record in records if record["status"] == 200}
    assert all(recovered[record["op"]] == record["attempt"] + 1 for record in failed)
    for request in recorder.requests:
        assert MARKER.encode() not in request["raw"]


def test_what_litellm_refuses_itself_is_no_attempt(
    recorder: Recorder,
    reporter: Reporter,
    simulator: Simulator,
    clean: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    litellm.callbacks = [BrownoutLogger(reporter)]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    async def run() -> None:
        for call in (
            litellm.acompletion(model="openai/m", messages=ASK),  # no key
            litellm.acompletion(model="nobody/m", messages=ASK),  # no such provider
            litellm.acompletion(
                messages=ASK, mock_response="litellm.RateLimitError", **anthropic_params(simulator)
            ),
        ):
            with pytest.raises(Exception, match="rror|rate limit"):
                await call
        # What is told to callbacks late would come before this.
        await drained(litellm.acompletion(messages=ASK, **anthropic_params(simulator)))
        while reporter.stats["taken"] < 1:
            await asyncio.sleep(0.01)

    simulator.weather("anthropic", latency_ms=1)
    asyncio.run(asyncio.wait_for(run(), 60))
    assert reporter.flush(30)
    assert [record["status"] for record in recorder.records] == [200]


DEPLOYMENTS: List[Any] = [
    ({"model": "anthropic/claude-opus-4-7"}, ("anthropic", "claude-opus-4-7")),
    ({"model": "claude-opus-4-7", "custom_llm_provider": "anthropic"},
     ("anthropic", "claude-opus-4-7")),
    ({"model": "bedrock/anthropic.claude-opus-4-7-v1:0"},
     ("bedrock", "anthropic.claude-opus-4-7-v1:0")),
    ({"model": "openrouter/anthropic/claude-opus-4.7"},
     ("openrouter", "anthropic/claude-opus-4.7")),
    ({"model": "azure/my-deployment"}, ("azure", "my-deployment")),
    ({"model": ""}, None),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("params", "target"), DEPLOYMENTS)
def test_the_target_of_a_deployment(params: Dict[str, Any], target: Any) -> None:
    assert target_of({"model_name": "group", "litellm_params": params}) == target


def deployment(model: str) -> Dict[str, Any]:
    return {"model_name": "group", "litellm_params": {"model": model, "api_key": "any"}}


def filtered(router_filter: BrownoutFilter, *models: str) -> List[str]:
    kept = asyncio.run(
        router_filter.async_filter_deployments("group", [deployment(one) for one in models], None)
    )
    return [one["litellm_params"]["model"] for one in kept]


def test_an_overloaded_target_is_left_out_while_another_remains(daemon: Daemon) -> None:
    reporter = Reporter(daemon.url, interval_s=0.01)
    for status, model in ((529, "m"), (200, "fine")):
        for _ in range(200):
            reporter.report({"provider": "anthropic", "model": model, "status": status})
    assert reporter.flush(30)
    wait_until("a state", lambda: daemon.health("anthropic/m")["state"] == "overloaded")
    steering = BrownoutFilter(daemon.url, every_s=0.05)
    bad, good, unknown = "anthropic/m", "anthropic/fine", "openai/never-seen"
    wait_until("the filter knows", lambda: filtered(steering, bad, good) == [good])
    assert filtered(steering, bad, unknown) == [unknown]
    assert filtered(steering, bad) == [bad], "never none"
    assert filtered(steering, bad, bad) == [bad, bad]
    assert filtered(BrownoutFilter(daemon.url, avoid=()), bad, good) == [bad, good]
    # Without the daemon what was known grows old, and everything stays.
    daemon.stop()
    steering._view._stale_after_s = 0.1
    wait_until("it fails open", lambda: filtered(steering, bad, good) == [bad, good])


def test_without_the_daemon_every_deployment_stays_at_once() -> None:
    steering = BrownoutFilter("http://127.0.0.1:9")
    assert filtered(steering, "anthropic/m", "openai/m") == ["anthropic/m", "openai/m"]


def test_a_share_of_the_traffic_stays_where_the_advice_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steering = BrownoutFilter("")
    health = {"state": "overloaded", "advice": {"traffic_fraction": 0.1}}
    monkeypatch.setattr(
        steering._view, "target", lambda provider, model: health if model == "m" else None
    )
    draws = iter([0.05, 0.5])
    monkeypatch.setattr("random.random", lambda: next(draws))
    assert filtered(steering, "anthropic/m", "anthropic/x") == ["anthropic/m", "anthropic/x"]
    assert filtered(steering, "anthropic/m", "anthropic/x") == ["anthropic/x"]


def test_an_unchanged_document_is_not_sent_again(daemon: Daemon) -> None:
    view = BrownoutFilter(daemon.url, every_s=0.01)._view
    answers: List[int] = []
    get = view._get

    def counted(path: str, headers: Dict[str, str]) -> Any:
        answer = get(path, headers)
        answers.append(answer[0])
        return answer

    view._get = counted  # type: ignore[method-assign]
    view.target("anthropic", "m")
    wait_until("not modified", lambda: 304 in answers)


def test_a_router_asks_the_filter(
    simulator: Simulator, clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real router, with one of its two deployments in trouble."""
    for provider in ("anthropic", "openai"):
        simulator.weather(provider, latency_ms=1)
    steering = BrownoutFilter("")
    health = {"state": "overloaded"}
    monkeypatch.setattr(
        steering._view, "target", lambda provider, model: health if provider == "openai" else None
    )
    litellm.callbacks = [steering]
    balancer = litellm.Router(
        model_list=[
            {"model_name": "any", "litellm_params": params(simulator)}
            for params in (anthropic_params, openai_params)
        ],
        disable_cooldowns=True,
    )
    before = simulator.ledger()

    async def run() -> None:
        for _ in range(20):
            await balancer.acompletion(model="any", messages=ASK, max_tokens=64)

    asyncio.run(run())
    assert simulator.ledger() - before == Counter({("anthropic/m", "ok"): 20})
