"""The official SDKs against the simulator: answers, streams, typed errors, retries.

Usage: python simulator_sdk.py BASE_URL, with a simulator that plays anthropic/m and openai/m,
exact, with short latencies. Prints "ok" at the end; any difference is an AssertionError.
"""

import anthropic
import openai

from simulated import ANSWER, ASK, BASE, expected, finish, ledger, raised, saw, weather

claude = anthropic.Anthropic(base_url=BASE + "/anthropic", api_key="any", max_retries=0)
gpt = openai.OpenAI(base_url=BASE + "/openai/v1", api_key="any", max_retries=0)


def claude_whole(client=claude, **more):
    return client.messages.create(model="m", max_tokens=64, messages=ASK, **more)


def claude_stream(client=claude):
    with client.messages.stream(model="m", max_tokens=64, messages=ASK) as stream:
        text = "".join(stream.text_stream)
        return text, stream.get_final_message()


def gpt_whole(client=gpt, **more):
    return client.chat.completions.create(model="m", messages=ASK, **more)


def gpt_stream(client=gpt):
    stream = client.chat.completions.create(
        model="m", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    text, finish, usage = "", None, None
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
        usage = chunk.usage or usage
    return text, finish, usage


def good_answers():
    weather("anthropic")
    message = claude_whole()
    assert message.content[0].text == ANSWER, message
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 8), message
    assert message._request_id.startswith("req_"), message._request_id
    text, final = claude_stream()
    assert text == ANSWER, text
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 8), final
    assert final.usage.input_tokens > 0, final
    short = claude.messages.create(model="m", max_tokens=1, messages=ASK)
    assert (short.stop_reason, short.content[0].text) == ("max_tokens", "The"), short
    saw("anthropic", "ok", 200, count=3)

    weather("openai")
    completion = gpt_whole()
    assert completion.choices[0].message.content == ANSWER, completion
    assert completion.choices[0].finish_reason == "stop", completion
    assert completion.usage.completion_tokens == 8, completion
    assert completion._request_id.startswith("req_"), completion._request_id
    text, finish, usage = gpt_stream()
    assert (text, finish, usage.completion_tokens) == (ANSWER, "stop", 8), (text, finish, usage)
    saw("openai", "ok", 200, count=2)


def typed_errors():
    table = [
        # kind, class, (anthropic type, code), (openai type, code)
        ("overloaded", "overloaded", ("OverloadedError", 529), ("InternalServerError", 503)),
        ("rate_limited", "rate_limited", ("RateLimitError", 429), ("RateLimitError", 429)),
        ("quota_exhausted", "quota_exhausted", ("EnforcedSpendLimitReachedError", 429), ("RateLimitError", 429)),
        ("billing", "billing", (None, 402), ("RateLimitError", 429)),
        ("auth", "auth", ("AuthenticationError", 401), ("AuthenticationError", 401)),
        ("unavailable", "unavailable", ("ServiceUnavailableError", 503), ("InternalServerError", 503)),
        ("server_error", "server_error", ("InternalServerError", 500), ("InternalServerError", 500)),
    ]
    for kind, cls, for_claude, for_gpt in table:
        for provider, calls, (name, code) in [
            ("anthropic", (claude_whole, claude_stream), for_claude),
            ("openai", (gpt_whole, gpt_stream), for_gpt),
        ]:
            base = {"anthropic": anthropic, "openai": openai}[provider].APIStatusError
            weather(provider, **{kind: 1.0})
            for call in calls:
                error = raised(call)
                assert isinstance(error, base), (kind, type(error), error)
                assert error.status_code == code, (kind, error)
                assert name in (None, type(error).__name__), (kind, name, type(error).__name__)
                saw(provider, cls, code)


def trouble_in_streams():
    weather("anthropic", stream_overloaded=1.0)
    error = raised(claude_stream)
    assert isinstance(error, anthropic.APIStatusError), (type(error), error)
    assert error.body["error"]["type"] == "overloaded_error", error.body
    saw("anthropic", "overloaded", 200)
    weather("openai", stream_overloaded=1.0)
    error = raised(gpt_stream)
    assert isinstance(error, openai.APIError), (type(error), error)
    assert error.code == "server_is_overloaded", (error.code, error)
    saw("openai", "overloaded", 200)
    for provider, stream in [("anthropic", claude_stream), ("openai", gpt_stream)]:
        weather(provider, stream_reset=1.0)
        error = raised(stream)
        # The SDKs pass on what the transport raised once the stream has begun.
        assert "incomplete" in str(error) or "onnection" in str(error), (type(error), error)
        saw(provider, "network", 200)


def cut_connections_and_timeouts():
    for provider, sdk, call in [
        ("anthropic", anthropic, claude_whole),
        ("openai", openai, gpt_whole),
    ]:
        weather(provider, reset=1.0)
        error = raised(call)
        assert type(error) is sdk.APIConnectionError, (type(error), error)
        saw(provider, "network", None)
        weather(provider, slow=1.0, slow_ms=600_000)
        # Long enough for the request to arrive on a busy machine, short beside the answer.
        error = raised(lambda call=call: call(timeout=1.5))
        assert isinstance(error, sdk.APITimeoutError), (type(error), error)
        saw(provider, "timeout", None)


def retries():
    """Exact rates: with two kinds at one half each, the fates alternate."""
    for provider, client, call, code in [
        ("anthropic", claude, claude_whole, 529),
        ("openai", gpt, gpt_whole, 503),
    ]:
        retrying = client.with_options(max_retries=2)
        weather(provider, overloaded=1.0)
        error = raised(lambda: call(retrying))
        assert error.status_code == code, error
        saw(provider, "overloaded", code)
        saw(provider, "overloaded", code, "retry", 2)
        # What waiting does not help is not tried again.
        weather(provider, quota_exhausted=1.0)
        error = raised(lambda: call(retrying))
        assert error.status_code == 429, error
        saw(provider, "quota_exhausted", 429)
        # Told to wait, the SDK does, and then succeeds on the retry.
        weather(provider, rate_limited=0.5, retry_after_ms=20)
        before = ledger()
        for _ in range(4):
            call(retrying)
        rows = ledger() - before
        good = sum(n for (_, _, _, cls, _), n in rows.items() if cls == "ok")
        throttled = sum(n for (_, _, _, cls, _), n in rows.items() if cls == "rate_limited")
        again = sum(n for (_, _, attempt, _, _), n in rows.items() if attempt == "retry")
        assert good == 4 and again == throttled > 0, rows
        expected.update(rows)


def refused():
    nobody = anthropic.Anthropic(base_url=BASE + "/anthropic", api_key="any", max_retries=0)
    error = raised(lambda: nobody.messages.create(model="no-such", max_tokens=1, messages=ASK))
    assert type(error) is anthropic.NotFoundError, (type(error), error)
    expected["anthropic", "no-such", "first", "invalid_request", 404] += 1
    error = raised(lambda: gpt.chat.completions.create(model="no-such", messages=ASK))
    assert type(error) is openai.NotFoundError and error.code == "model_not_found", error
    expected["openai", "no-such", "first", "invalid_request", 404] += 1


def main():
    good_answers()
    typed_errors()
    trouble_in_streams()
    cut_connections_and_timeouts()
    retries()
    refused()
    finish()


main()
