"""The official SDKs behind a small reporting transport: every attempt is reported to brownout.

Usage: python reporter.py SIMULATOR_URL BROWNOUT_URL CALLS

Makes CALLS calls of each kind (whole and streamed, both SDKs, retries on) against a simulator
that plays anthropic/m and openai/m, and reports each HTTP exchange as a native outcome.
"""

import json
import sys
import urllib.request

import anthropic
import httpx2
import openai

SIMULATOR, BROWNOUT, CALLS = sys.argv[1], sys.argv[2], int(sys.argv[3])
ASK = [{"role": "user", "content": "Weather?"}]
records = []


class Reporting(httpx2.HTTPTransport):
    """The reporter: one record an attempt, from what crosses the wire."""

    def handle_request(self, request):
        retry = int(request.headers.get("x-stainless-retry-count", 0))
        record = {
            "provider": request.url.path.split("/")[1],
            "model": json.loads(request.content)["model"],
            "attempt": retry + 1,
        }
        records.append(record)
        try:
            response = super().handle_request(request)
            record["status"] = response.status_code
            body = response.read().decode()
        except httpx2.TimeoutException:
            record["error"] = "timeout"
            raise
        except httpx2.TransportError:
            record["error"] = "reset"
            raise
        events = [line[5:] for line in body.splitlines() if line.startswith("data:")]
        errors = [event for event in events if '"error"' in event and json.loads(event).get("error")]
        if response.status_code >= 400:
            record["body"] = body
        elif errors:
            record.update(phase="stream", body=errors[-1])
        return httpx2.Response(
            response.status_code, headers=response.headers, content=body.encode(), request=request
        )


def call(make):
    try:
        make()
    except (anthropic.APIError, openai.APIError):
        pass  # what the caller makes of it is the caller's affair


def streamed_claude():
    with claude.messages.stream(model="m", max_tokens=64, messages=ASK) as stream:
        stream.get_final_message()


def streamed_gpt():
    for _ in gpt.chat.completions.create(model="m", messages=ASK, stream=True):
        pass


for sdk in (anthropic, openai):
    # How long the SDKs pause before a retry is not what is looked at here.
    sdk._base_client.INITIAL_RETRY_DELAY = 0.001
    sdk._base_client.MAX_RETRY_DELAY = 0.002
client = httpx2.Client(transport=Reporting())
claude = anthropic.Anthropic(
    base_url=f"{SIMULATOR}/anthropic", api_key="any", http_client=client, max_retries=2
)
gpt = openai.OpenAI(
    base_url=f"{SIMULATOR}/openai/v1", api_key="any", http_client=client, max_retries=2
)
for _ in range(CALLS):
    call(lambda: claude.messages.create(model="m", max_tokens=64, messages=ASK))
    call(streamed_claude)
    call(lambda: gpt.chat.completions.create(model="m", messages=ASK))
    call(streamed_gpt)

batch = "\n".join(json.dumps(record) for record in records)
request = urllib.request.Request(
    f"{BROWNOUT}/v1/outcomes", batch.encode(), {"content-type": "application/x-ndjson"}
)
with urllib.request.urlopen(request) as reply:
    print(reply.read().decode())
