"""LiteLLM in a program, told of by its own callback and by the reporter at once.

Usage: python litellm_sdk.py SIMULATOR_URL BROWNOUT_OF_THE_CALLBACK BROWNOUT_OF_THE_REPORTER CALLS

Makes CALLS calls, whole and streamed, of each: Anthropic and OpenAI through a Router with two
retries (model `routed`), and of both without one (model `bare`), where OpenAI's client retries
unseen. Prints the number of calls of each target.
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter

import litellm
from brownout_reporter import Reporter
from brownout_reporter.litellm import BrownoutLogger
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

SIMULATOR, CALLBACK, REPORTER, CALLS = *sys.argv[1:4], int(sys.argv[4])
PORT = SIMULATOR.rsplit(":", 1)[1]
BASES = {
    "anthropic": f"{SIMULATOR}/anthropic",
    # Another name of this machine: the daemon tells the two that one simulator plays by it.
    "openai": f"http://localhost:{PORT}/openai/v1",
}
ASK = {"messages": [{"role": "user", "content": "Weather?"}], "max_tokens": 64}
calls = Counter()


def deployment(provider, model):
    return {"model": f"{provider}/{model}", "api_base": BASES[provider], "api_key": "any"}


async def drained(target, call):
    calls[target] += 1
    with contextlib.suppress(Exception):  # what the caller makes of it is the caller's affair
        answer = await call
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass


async def main():
    litellm.suppress_debug_info = True
    callback = GenericAPILogger(endpoint=f"{CALLBACK}/v1/litellm")
    reporter = Reporter(REPORTER, interval_s=0.1)
    litellm.callbacks = [callback, BrownoutLogger(reporter)]
    router = litellm.Router(
        model_list=[
            {"model_name": f"group-{name}", "litellm_params": deployment(name, "routed")}
            for name in BASES
        ],
        num_retries=2,
        retry_after=0,
        disable_cooldowns=True,
    )
    at_once = asyncio.Semaphore(16)

    async def one(provider, stream, routed):
        async with at_once:
            if routed:
                call = router.acompletion(model=f"group-{provider}", stream=stream, **ASK)
            else:
                call = litellm.acompletion(stream=stream, **deployment(provider, "bare"), **ASK)
            await drained(f"{provider}/{'routed' if routed else 'bare'}", call)

    await asyncio.gather(
        *(
            one(provider, stream, routed)
            for provider in BASES
            for stream in (False, True)
            for routed in (False, True)
            for _ in range(CALLS)
        )
    )
    print(json.dumps(calls), flush=True)
    # LiteLLM calls back from tasks of its own, some time after the answer. What came is sent until
    # the test has seen enough, and ends this.
    while True:
        await callback.flush_queue()
        await asyncio.sleep(0.1)


asyncio.run(main())
