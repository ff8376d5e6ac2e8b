"""What the programs of this folder have in common: their calls, and what the caller saw of each.

Usage of a program: python PROGRAM SIMULATOR_URL BROWNOUT_URL

Each makes the same calls through the real SDK against a simulator that plays `anthropic/m` or
`openai/m`: with the SDK's retries and without, whole and streamed. It then prints how many calls
ended as what for the caller, as one JSON object. That is the truth about operations; the truth
about attempts is the simulator's ledger.
"""

import contextlib
import json
import sys
from collections import Counter

import anthropic
import openai

SIMULATOR, BROWNOUT = sys.argv[1:3]
ASK = [{"role": "user", "content": "Weather?"}]

#: Calls of each kind. The simulator keeps its shares exactly over any hundred requests, so every
#: kind meets every trouble.
CALLS_OF_A_KIND = 100


def ended_as(error):
    """What the caller makes of an error: the name that the simulator's ledger has for it."""
    text = str(error).lower()
    if "overloaded" in text:
        return "overloaded"
    return {429: "rate_limited", 503: "unavailable"}.get(
        getattr(error, "status_code", None), f"unexpected: {type(error).__name__}"
    )


def ask_claude(**options):
    """Makes every call with the Anthropic SDK."""
    _ask(_claude, anthropic, base_url=f"{SIMULATOR}/anthropic", **options)


def ask_gpt(**options):
    """Makes every call with the OpenAI SDK, Chat Completions."""
    _ask(_gpt, openai, base_url=f"{SIMULATOR}/openai/v1", **options)


def _claude(options):
    client = anthropic.Anthropic(**options)

    def whole():
        client.messages.create(model="m", max_tokens=64, messages=ASK)

    def streamed():
        for _ in client.messages.create(model="m", max_tokens=64, messages=ASK, stream=True):
            pass

    return whole, streamed


def _gpt(options):
    client = openai.OpenAI(**options)

    def whole():
        client.chat.completions.create(model="m", messages=ASK)

    def streamed():
        for _ in client.chat.completions.create(model="m", messages=ASK, stream=True):
            pass

    return whole, streamed


def _ask(make, sdk, **options):
    # How long the SDK pauses before a retry is not what is looked at here.
    sdk._base_client.INITIAL_RETRY_DELAY = 0.001
    ended = Counter()
    for retries in 2, 0:
        for call in make({"api_key": "any", "max_retries": retries, **options}):
            for _ in range(CALLS_OF_A_KIND):
                ended[_attempted(call)] += 1
    print(json.dumps(ended))


def _attempted(call):
    try:
        call()
    except (anthropic.APIError, openai.APIError) as error:
        return ended_as(error)
    return "ok"


@contextlib.contextmanager
def spans():
    """Sends what is traced to brownout over OTLP, all of it before it returns."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "tests"}))
    exporter = OTLPSpanExporter(endpoint=f"{BROWNOUT}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield
    provider.shutdown()
