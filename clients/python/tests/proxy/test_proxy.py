"""The LiteLLM proxy, configured as the README says: its attempts are the simulator's ledger.

It needs the proxy's many packages, so it has an environment of its own
(`requirements-test-proxy.txt`) and is named to be run: `pytest tests/proxy`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import ASK, WEATHER, Daemon, Simulator, wait_until

KEY = "sk-only-for-this-test-0123456789"
CALLS = 200


@pytest.fixture
def proxy(tmp_path: Path, daemon: Daemon, simulator: Simulator) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = tmp_path / "litellm.yaml"
    config.write_text(f"""
model_list:
  - model_name: claude
    litellm_params:
      {{model: anthropic/m, api_base: "{simulator.url}/anthropic", api_key: any}}
  - model_name: gpt
    litellm_params:
      {{model: openai/m, api_base: "http://localhost:{simulator.port}/openai/v1", api_key: any}}
litellm_settings:
  callbacks: [brownout_reporter.litellm.logger, brownout_reporter.litellm.router_filter]
router_settings: {{num_retries: 2, retry_after: 0, disable_cooldowns: true}}
general_settings: {{master_key: {KEY}}}
""")
    log = tmp_path / "litellm.log"
    command = [str(Path(sys.executable).with_name("litellm")), "--config", str(config)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "BROWNOUT_URL": daemon.url},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"

    def lives() -> bool:
        assert process.poll() is None, log.read_text()[-2_000:]
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{url}/health/liveliness").status == 200)
        return False

    try:
        wait_until("the proxy", lives, 180)
        yield url
    finally:
        process.terminate()
        process.wait(60)


#: Streams, with enough that fail after an earlier try of their request failed.
PHASES = [(False, WEATHER), (True, {**WEATHER, "stream_overloaded": 0.2, "overloaded": 0.2})]


def test_the_daemon_counts_what_the_simulator_sent(
    proxy: str, daemon: Daemon, simulator: Simulator
) -> None:
    def call(number: int, stream: bool) -> None:
        body: Any = {
            "model": ("claude", "gpt")[number % 2],
            "messages": ASK,
            "max_tokens": 64,
            "stream": stream,
        }
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        request = urllib.request.Request(
            f"{proxy}/v1/chat/completions", json.dumps(body).encode(), headers
        )
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=60).read()

    for stream, weather in PHASES:
        for provider in ("anthropic", "openai"):
            simulator.weather(provider, **weather)
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(functools.partial(call, stream=stream), range(CALLS)))
        ledger = simulator.ledger()
        for target in ("anthropic/m", "openai/m"):
            for name in ("ok", "overloaded", "rate_limited", "unavailable"):
                assert ledger[target, name] > 0, f"the weather has {name}"
        wait_until("every attempt in /metrics", lambda: daemon.counts() == simulator.ledger())
