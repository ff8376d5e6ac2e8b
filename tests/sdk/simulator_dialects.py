"""Other formats and other SDKs against the simulator: answers, streams, typed errors.

Usage: python simulator_dialects.py BASE_URL. That these SDKs, none of them written here, read the
simulator's answers is what proves its framing right: numbered events, binary messages with their
checksums, signatures. Prints "ok" at the end; any difference is an AssertionError.
"""

import anthropic
import boto3
import botocore.exceptions
import openai
from botocore.config import Config
from google import genai

from simulated import ANSWER, ASK, BASE, expected, finish, raised, saw, weather


def responses():
    gpt = openai.OpenAI(base_url=BASE + "/openai/v1", api_key="any", max_retries=0)

    def stream(**more):
        return list(gpt.responses.create(model="m", input="Weather?", stream=True, **more))

    weather("openai")
    whole = gpt.responses.create(model="m", input="Weather?")
    assert (whole.status, whole.output_text) == ("completed", ANSWER), whole
    assert whole.usage.output_tokens_details.reasoning_tokens > 0, whole
    with gpt.responses.stream(model="m", input="Weather?") as events:
        final = events.get_final_response()
    assert (final.status, final.output_text) == ("completed", ANSWER), final
    last = stream(max_output_tokens=16)[-1]
    assert last.type == "response.incomplete", last
    assert last.response.incomplete_details.reason == "max_output_tokens", last
    saw("openai", "ok", 200, count=3)
    weather("openai", stream_overloaded=1.0)
    types = [event.type for event in stream()]
    assert types == ["response.created", "response.in_progress", "response.failed"], types
    saw("openai", "overloaded", 200)
    weather("openai", rate_limited=1.0)
    error = raised(stream)
    assert isinstance(error, openai.RateLimitError), (type(error), error)
    saw("openai", "rate_limited", 429)


def azure():
    deployment = openai.AzureOpenAI(
        azure_endpoint=BASE + "/azure", api_version="2024-10-21", api_key="any", max_retries=0
    )

    def stream():
        chunks = list(
            deployment.chat.completions.create(model="m", messages=ASK, stream=True)
        )
        assert chunks[0].choices == [], chunks[0]
        return "".join(
            choice.delta.content or "" for chunk in chunks for choice in chunk.choices
        )

    weather("azure")
    whole = deployment.chat.completions.create(model="m", messages=ASK)
    assert whole.choices[0].message.content == ANSWER, whole
    assert stream() == ANSWER
    saw("azure", "ok", 200, count=2)
    for kind, name, code in [
        ("overloaded", "RateLimitError", 429),
        ("rate_limited", "RateLimitError", 429),
        ("auth", "AuthenticationError", 401),
        ("server_error", "InternalServerError", 500),
    ]:
        weather("azure", **{kind: 1.0})
        error = raised(stream)
        assert (type(error).__name__, error.status_code) == (name, code), (kind, error)
        saw("azure", kind, code)


def vertex():
    claude = anthropic.AnthropicVertex(
        base_url=BASE + "/vertex/v1",
        region="global",
        project_id="any",
        access_token="any",
        max_retries=0,
    )

    def stream():
        with claude.messages.stream(model="m", max_tokens=64, messages=ASK) as events:
            return "".join(events.text_stream)

    weather("vertex")
    whole = claude.messages.create(model="m", max_tokens=64, messages=ASK)
    assert whole.content[0].text == ANSWER, whole
    assert whole._request_id.startswith("req_vrtx_"), whole._request_id
    assert stream() == ANSWER
    saw("vertex", "ok", 200, count=2)
    weather("vertex", stream_overloaded=1.0)
    error = raised(stream)
    assert error.body["error"]["type"] == "overloaded_error", error.body
    saw("vertex", "overloaded", 200)
    weather("vertex", overloaded=1.0)
    error = raised(stream)
    assert error.status_code == 429 and "Resource exhausted" in str(error), error
    saw("vertex", "overloaded", 429)


def gemini():
    client = genai.Client(api_key="any", http_options={"base_url": BASE + "/gemini"})

    def stream():
        chunks = client.models.generate_content_stream(model="m", contents="Weather?")
        return "".join(chunk.text or "" for chunk in chunks)

    weather("gemini")
    whole = client.models.generate_content(model="m", contents="Weather?")
    assert whole.text == ANSWER, whole
    assert whole.usage_metadata.candidates_token_count == 8, whole
    assert stream() == ANSWER
    short = client.models.generate_content(
        model="m", contents="Weather?", config={"max_output_tokens": 1}
    )
    assert short.candidates[0].finish_reason.name == "MAX_TOKENS", short
    assert not short.text and short.usage_metadata.thoughts_token_count == 1, short
    saw("gemini", "ok", 200, count=3)
    for kind, name, code, status in [
        ("overloaded", "ServerError", 503, "UNAVAILABLE"),
        ("rate_limited", "ClientError", 429, "RESOURCE_EXHAUSTED"),
        ("auth", "ClientError", 400, "INVALID_ARGUMENT"),
        ("server_error", "ServerError", 500, "INTERNAL"),
    ]:
        weather("gemini", **{kind: 1.0})
        error = raised(stream)
        seen = (type(error).__name__, error.code, error.status)
        assert seen == (name, code, status), (kind, seen)
        saw("gemini", kind, code)
    weather("gemini", stream_overloaded=1.0)
    error = raised(stream)
    assert error.code == 503, error
    saw("gemini", "overloaded", 200)


def bedrock():
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=BASE + "/bedrock",
        region_name="us-east-1",
        aws_access_key_id="AKIDANY",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    ask = [{"role": "user", "content": [{"text": "Weather?"}]}]

    def stream(model="m", **more):
        return list(client.converse_stream(modelId=model, messages=ask, **more)["stream"])

    weather("bedrock")
    whole = client.converse(modelId="m", messages=ask)
    assert whole["output"]["message"]["content"][0]["text"] == ANSWER, whole
    assert (whole["stopReason"], whole["usage"]["outputTokens"]) == ("end_turn", 8), whole
    events = stream()
    deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta["delta"]["text"] for delta in deltas) == ANSWER, events
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 8, events
    short = stream(inferenceConfig={"maxTokens": 1})
    assert {"messageStop": {"stopReason": "max_tokens"}} in short, short
    saw("bedrock", "ok", 200, count=3)
    for kind, name, code in [
        ("overloaded", "ServiceUnavailableException", 503),
        ("rate_limited", "ThrottlingException", 429),
        ("quota_exhausted", "ServiceQuotaExceededException", 400),
        ("billing", "AccessDeniedException", 403),
        ("unavailable", "ModelNotReadyException", 429),
        ("server_error", "InternalServerException", 500),
    ]:
        weather("bedrock", **{kind: 1.0})
        error = raised(stream)
        assert isinstance(error, botocore.exceptions.ClientError), (kind, type(error), error)
        seen = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert seen == (name, code), (kind, seen)
        saw("bedrock", kind, code)
    weather("bedrock", stream_overloaded=1.0)
    error = raised(stream)
    assert isinstance(error, botocore.exceptions.EventStreamError), (type(error), error)
    assert error.response["Error"]["Code"] == "serviceUnavailableException", error.response
    saw("bedrock", "overloaded", 200)
    # The client escapes the colon and the slash of an identifier; the path is one all the same.
    error = raised(lambda: stream("arn:aws:bedrock:us-east-1:1:inference-profile/eu.x-v1:0"))
    assert error.response["Error"]["Code"] == "ValidationException", error.response
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/eu.x-v1:0"
    expected["bedrock", arn, "first", "invalid_request", 400] += 1


responses()
azure()
vertex()
gemini()
bedrock()
finish()
