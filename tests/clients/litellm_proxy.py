"""The LiteLLM proxy, told of by its own callback and by the reporter at once.

Usage: python litellm_proxy.py SIMULATOR_URL BROWNOUT_OF_THE_CALLBACK BROWNOUT_OF_THE_REPORTER CALLS

Starts the proxy with two model groups and two retries, and makes CALLS calls, whole and streamed,
of each group. Prints what its clients saw, a line of JSON for each target. Then, for each line on
its input (`{"until": URL, "state": STATE}`), calls Claude until the health document there shows
that state, and prints what the proxy's own metrics say at that moment.
"""

import concurrent.futures
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

SIMULATOR, CALLBACK, REPORTER, CALLS = *sys.argv[1:4], int(sys.argv[4])
PORT = SIMULATOR.rsplit(":", 1)[1]
KEY = "sk-only-for-this-test-0123456789"
RETRIES = 2
CONFIG = f"""
model_list:
  - model_name: group-anthropic
    litellm_params:
      {{model: anthropic/m, api_base: "{SIMULATOR}/anthropic", api_key: any}}
  - model_name: group-openai
    litellm_params:
      {{model: openai/m, api_base: "http://localhost:{PORT}/openai/v1", api_key: any}}
litellm_settings:
  callbacks: [generic_api, brownout_reporter.litellm.logger, prometheus]
router_settings: {{num_retries: {RETRIES}, retry_after: 0, disable_cooldowns: true}}
general_settings: {{master_key: {KEY}}}
"""
#: Calls in search of a state, at most: at 10 % of 529 a few dozen are enough.
SEARCH_MAX = 2_000


def end_with_me():
    """Has the kernel end this process when its parent is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Proxy:
    def __init__(self, directory):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        config, self.log = directory / "litellm.yaml", directory / "litellm.log"
        config.write_text(CONFIG)
        command = [str(Path(sys.executable).with_name("litellm")), "--config", str(config)]
        settings = {
            "GENERIC_LOGGER_ENDPOINT": f"{CALLBACK}/v1/litellm",
            "DEFAULT_FLUSH_INTERVAL_SECONDS": "1",
            "BROWNOUT_URL": REPORTER,
        }
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                env={**os.environ, **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_me if sys.platform == "linux" else None,
            )
        while not self.lives():
            time.sleep(0.1)

    def lives(self):
        if self.process.poll() is not None:
            sys.exit(self.log.read_text()[-2_000:])
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.url}/health/liveliness").status == 200
        return False

    def get(self, path):
        headers = {"authorization": f"Bearer {KEY}"}
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)
        return urllib.request.urlopen(request, timeout=60).read().decode()

    def call(self, provider, stream):
        """How one call ended for its client, and how many tries came before the last."""
        body = {
            "model": f"group-{provider}",
            "messages": [{"role": "user", "content": "Weather?"}],
            "max_tokens": 64,
            "stream": stream,
        }
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions", json.dumps(body).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                text = reply.read().decode()
                retries = int(reply.headers["x-litellm-attempted-retries"])
        except urllib.error.HTTPError as refused:
            refused.read()
            return "failed", RETRIES
        return "broken" if '"error"' in text else "ok", retries


def seen(ends):
    """What the clients of one group saw, and what follows for the callback.

    It is told of a call's first failure and of its success; a success that is no stream is
    numbered, which tells how many tries lie between.
    """
    counts = Counter(calls=len(ends))
    for (end, retries), stream in ends:
        counts["attempts"] += retries + 1
        counts[end] += 1
        counts["told"] += 1 + (end == "ok" and retries > 0)
        if end == "ok" and not stream:
            counts["unclassified"] += max(0, retries - 1)
    return counts


def metrics_of(proxy):
    """The proxy's own series that speak of Anthropic's deployment."""
    names = ("litellm_deployment_failure_responses_total{", "litellm_deployment_state{")
    lines = proxy.get("/metrics/").splitlines()
    return [line for line in lines if line.startswith(names) and '"anthropic"' in line]


def search(proxy, until, state):
    """Calls until the daemon sees the state."""
    for _ in range(SEARCH_MAX // 8):
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: proxy.call("anthropic", False), range(8)))
        with urllib.request.urlopen(until) as reply:
            health = json.load(reply)
        if health["state"] == state:
            return {"health": health, "metrics": metrics_of(proxy)}
    return {"health": health, "metrics": []}


def main(directory):
    proxy = Proxy(Path(directory))
    try:
        for provider in ("anthropic", "openai"):
            kinds = [False] * CALLS + [True] * CALLS
            with concurrent.futures.ThreadPoolExecutor(8) as threads:
                ends = list(threads.map(lambda stream: proxy.call(provider, stream), kinds))
            counts = seen(list(zip(ends, kinds)))
            print(json.dumps({"target": f"{provider}/m", **counts}), flush=True)
        for line in sys.stdin:
            print(json.dumps(search(proxy, **json.loads(line))), flush=True)
    finally:
        proxy.process.terminate()
        proxy.process.wait(60)


with tempfile.TemporaryDirectory() as directory:
    main(directory)
