"""The daemon and the simulated providers as child processes, and a server that records."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from brownout_reporter import Reporter

REPOSITORY = Path(__file__).resolve().parents[3]

#: Stands in every prompt and must never leave the process but for the provider.
MARKER = "prompt-marker-7f3a"
ASK = [{"role": "user", "content": f"Weather? {MARKER}"}]

#: The weather that the counts are held to, and the names its troubles have in the ledger.
WEATHER = {
    "overloaded": 0.03,
    "unavailable": 0.02,
    "rate_limited": 0.02,
    "stream_overloaded": 0.01,
    "latency_ms": 1,
    "ttft_ms": 1,
    "retry_after_ms": 1,
}

#: Everything that a weather can hold.
TROUBLES = (
    *("slow", "overloaded", "stream_overloaded", "rate_limited", "quota_exhausted", "billing"),
    *("auth", "unavailable", "server_error", "reset", "stream_reset", "drip", "half_open"),
    *("wrong_type", "redirect", "huge"),
)


def binary() -> str:
    named = os.environ.get("BROWNOUT_BIN")
    places = (
        [Path(named)]
        if named
        else [REPOSITORY / "target" / profile / "brownout" for profile in ("release", "debug")]
    )
    for place in places:
        if place.exists():
            return str(place)
    tried = ", ".join(map(str, places))
    raise pytest.UsageError(f"no brownout at {tried}: build it, or name it in BROWNOUT_BIN")


def wait_until(what: str, condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """The first true value of the condition."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true, last seen: {value!r}")
        time.sleep(0.02)


def get_json(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} if data else {}
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


class Child:
    """A child process that says on its output where it listens."""

    def __init__(self, arguments: List[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [binary(), *arguments], stdout=output, stderr=subprocess.STDOUT
            )

    def says(self, pattern: str) -> str:
        def search() -> Optional[str]:
            assert self._process.poll() is None, self._log.read_text()
            found = re.search(pattern, self._log.read_text())
            return found.group(1) if found else None

        return str(wait_until(pattern, search))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


class Simulator(Child):
    def __init__(self, directory: Path) -> None:
        settings = ", ".join(f"{name}: {value}" for name, value in WEATHER.items())
        scenario = directory / "scenario.yaml"
        scenario.write_text(
            "exact: true\nproviders:\n"
            f"  anthropic:\n    m: {{{settings}}}\n  openai:\n    m: {{{settings}}}\n"
        )
        super().__init__(
            ["simulate", "--listen", "127.0.0.1:0", "--scenario", str(scenario), "--seed", "1"],
            directory / "simulator.log",
        )
        self.url = self.says(r"(http://127\.0\.0\.1:[1-9]\d*)")
        self.port = int(self.url.rsplit(":", 1)[1])

    def weather(self, provider: str, **settings: float) -> None:
        fair = dict.fromkeys(TROUBLES, 0.0)
        get_json(
            f"{self.url}/admin/weather", {"provider": provider, "model": "m", **fair, **settings}
        )

    def ledger(self) -> "Counter[tuple[str, str]]":
        """Exchanges by target and class."""
        counts: "Counter[tuple[str, str]]" = Counter()
        for row in get_json(f"{self.url}/admin/ledger")["rows"]:
            counts[f"{row['provider']}/{row['model']}", row["class"]] += row["count"]
        return counts


class Daemon(Child):
    def __init__(self, directory: Path, simulator: Simulator, port: int = 0) -> None:
        config = directory / "brownout.yaml"
        # One simulator plays both providers, so its host is not a sign of either; two names of
        # this machine are.
        config.write_text(
            "providers:\n"
            f'  anthropic: {{models: [m], hosts: ["127.0.0.1:{simulator.port}"]}}\n'
            f'  openai: {{models: [m], hosts: ["localhost:{simulator.port}"]}}\n'
        )
        super().__init__(
            [
                f"--config.file={config}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.path={directory / 'data'}",
            ],
            directory / f"daemon-{time.monotonic_ns()}.log",
        )
        found = self.says(r"(127\.0\.0\.1:[1-9]\d*)")
        self.port = int(found.rsplit(":", 1)[1])
        self.url = f"http://{found}"

    def counts(self) -> "Counter[tuple[str, str]]":
        """Attempts by target and class, from `/metrics`, which tells all eleven classes."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as reply:
            text = reply.read().decode()
        counts: "Counter[tuple[str, str]]" = Counter()
        for name, labels, value in re.findall(r"^(\w+)\{(.*)\} (\d+)$", text, re.M):
            label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            target = f"{label.get('provider')}/{label.get('model')}"
            if name == "brownout_requests_total":
                counts[target, "ok"] += int(value)
            elif name == "brownout_request_errors_total":
                counts[target, label["reason"]] += int(value)
                counts[target, "ok"] -= int(value)
        return +counts

    def health(self, target: str) -> Dict[str, Any]:
        document: Dict[str, Any] = get_json(f"{self.url}/v1/health/{target}")
        return document


class Recorder:
    """A daemon's door that keeps what comes through it and answers as told."""

    def __init__(self) -> None:
        self.requests: List[Dict[str, Any]] = []
        #: Answers to give, in order; when they are used up, 200.
        self.answers: List["tuple[int, Dict[str, str]]"] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                recorder.requests.append(
                    {"headers": dict(self.headers), "raw": gzip.decompress(body)}
                )
                status, headers = recorder.answers.pop(0) if recorder.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b'{"accepted":0,"duplicate":0,"rejected":[]}')

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def records(self) -> List[Dict[str, Any]]:
        return [
            json.loads(line) for request in self.requests for line in request["raw"].splitlines()
        ]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("simulator"))
    yield simulator
    simulator.stop()


@pytest.fixture
def daemon(tmp_path: Path, simulator: Simulator) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path, simulator)
    get_json(f"{simulator.url}/admin/reset-ledger", {})
    yield daemon
    daemon.stop()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.stop()


@pytest.fixture
def reporter(recorder: Recorder) -> Iterator[Reporter]:
    """One that reports to the recorder."""
    reporter = Reporter(recorder.url, "secret", "tests", interval_s=0.05)
    yield reporter
    reporter.close()
