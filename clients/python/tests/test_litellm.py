"""LiteLLM as SDK and as router: the 529 that it turns into 500 is reported as what it was."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Dict, Iterator

import litellm
import pytest
from conftest import ASK, WEATHER, Daemon, Simulator, wait_until

from brownout_reporter import Reporter
from brownout_reporter.litellm import BrownoutLogger

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
