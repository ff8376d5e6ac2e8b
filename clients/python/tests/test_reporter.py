"""The reporter by itself: outages, repeats, limits, exits, forks."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from conftest import Daemon, Recorder, Simulator, wait_until

from brownout_reporter import Reporter, _reporter

OK = {"provider": "anthropic", "model": "m", "status": 200}


def ids(recorder: Recorder) -> List[str]:
    return [record["id"] for record in recorder.records]


def test_an_outage_of_the_daemon_loses_nothing_and_repeats_nothing(
    tmp_path: Path, simulator: Simulator
) -> None:
    daemon = Daemon(tmp_path, simulator)
    reporter = Reporter(daemon.url, interval_s=0.01)
    for _ in range(700):
        reporter.report(OK)
    assert reporter.flush(30)
    wait_until("the first part", lambda: daemon.counts()["anthropic/m", "ok"] == 700)
    daemon.stop()
    for _ in range(1_700):
        reporter.report({**OK, "status": 529})
    assert not reporter.flush(0.5)
    assert reporter.stats["waiting"] == 1_700
    daemon = Daemon(tmp_path, simulator, port=daemon.port)
    assert reporter.flush(60)
    wait_until("the second part", lambda: daemon.counts()["anthropic/m", "overloaded"] == 1_700)
    assert reporter.stats == {
        "taken": 2_400, "settled": 2_400, "dropped": 0, "rejected": 0, "waiting": 0,
    }  # fmt: skip
    daemon.stop()


def test_a_repeated_batch_is_counted_once(daemon: Daemon) -> None:
    """The answer is lost on the way: what arrived is sent again, byte for byte."""
    reporter = Reporter(daemon.url, interval_s=0.01)
    posts: List[Any] = []
    post = reporter._post

    def lossy(batch: Any) -> Any:
        posts.append((batch.key, batch.body()))
        answer = post(batch)
        return answer if len(posts) > 2 else (None, {}, b"")

    reporter._post = lossy  # type: ignore[method-assign]
    for _ in range(10):
        reporter.report(OK)
    assert reporter.flush(30)
    assert len(posts) == 3 and len(set(posts)) == 1
    wait_until("ten records", lambda: daemon.counts()["anthropic/m", "ok"] == 10)


#: What the daemon answers at first, and whether the records come again and in the end arrive.
ANSWERS: List[Tuple[int, Dict[str, str], int]] = [
    (429, {"retry-after": "0.01"}, 2),
    (502, {}, 2),
    (503, {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 2),
    (504, {}, 2),
    (500, {}, 2),
    (400, {}, 1),
    (422, {}, 1),
]


@pytest.mark.parametrize(("status", "headers", "requests"), ANSWERS)
def test_what_is_sent_again(
    status: int, headers: Dict[str, str], requests: int, recorder: Recorder, reporter: Reporter
) -> None:
    recorder.answers = [(status, headers)]
    reporter.report(OK)
    assert reporter.flush(30)
    assert len(recorder.requests) == requests
    assert len(set(ids(recorder))) == 1
    assert len({request["headers"]["Idempotency-Key"] for request in recorder.requests}) == 1
    assert reporter.stats["rejected"] == (0 if requests == 2 else 1)


def test_a_refused_token_keeps_the_records_and_says_what_to_check(
    recorder: Recorder,
    reporter: Reporter,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_reporter, "BACKOFF_MAX_S", 0.01)
    recorder.answers = [(401, {}), (401, {}), (302, {"location": "/elsewhere"})]
    reporter.report(OK)
    assert reporter.flush(30)
    assert len(recorder.requests) == 4
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and "BROWNOUT_TOKEN" in said[0], "once a minute"


def test_a_batch_that_is_too_large_is_sent_in_parts(recorder: Recorder, reporter: Reporter) -> None:
    recorder.answers = [(413, {})]
    for number in range(10):
        reporter.report({**OK, "id": f"id-{number}"})
    assert reporter.flush(30)
    first, *parts = recorder.requests
    sent = [json.loads(line)["id"] for part in parts for line in part["raw"].splitlines()]
    whole = [json.loads(line)["id"] for line in first["raw"].splitlines()]
    assert sorted(sent) == sorted(f"id-{number}" for number in range(10))
    assert len(parts[0]["raw"]) < len(first["raw"]), whole


def test_memory_is_bounded_while_the_daemon_is_away(caplog: pytest.LogCaptureFixture) -> None:
    reporter = Reporter("http://127.0.0.1:9", capacity=1_000, interval_s=0.01)
    for number in range(3_000):
        reporter.report({**OK, "request_id": f"req_{number}"})
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(30_000):
        reporter.report({**OK, "request_id": f"req_{number}"})
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    stats = reporter.stats
    assert stats["waiting"] <= 1_000
    assert stats["dropped"] == 33_000 - stats["waiting"]
    # A thousand records of half a kilobyte; thirty times as many would not fit.
    assert after - before < 4 * 1024 * 1024
    newest = reporter._buffer[-1]
    assert newest["request_id"] == "req_29999", "the oldest go first"
    wait_until(
        "a word about the loss",
        lambda: any("were dropped" in record.getMessage() for record in caplog.records),
    )
    reporter.close(0)


def test_only_known_fields_leave(recorder: Recorder, reporter: Reporter) -> None:
    reporter.report(
        {
            **OK,
            "prompt": "secret words",
            "messages": ["secret words"],
            "body": "secret words",
            "error_type": "secret words",
            "error_code": 1302,
            "request_id": "r" * 500,
            "ms": float("nan"),
            "attempt": True,
        }
    )
    assert reporter.flush(30)
    assert b"secret" not in recorder.requests[0]["raw"]
    (record,) = recorder.records
    assert record["error_code"] == "1302"
    assert record["request_id"] == "r" * 128
    assert not {"ms", "attempt", "body", "error_type"} & set(record)


WRONG = ["localhost:10529", "ftp://host", "http://", "http://[::1"]


@pytest.mark.parametrize("url", [*WRONG, ""])
def test_without_a_usable_address_nothing_happens(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BROWNOUT_URL", url)
    reporter = Reporter()
    reporter.report(OK)
    assert not reporter.enabled
    assert reporter.stats["taken"] == 0
    assert reporter.flush(0)
    said = [record.getMessage() for record in caplog.records]
    assert bool(said) == bool(url) and all("BROWNOUT_URL" in text for text in said)


@pytest.mark.parametrize("record", [None, 7, {"model": object()}, {1: 2}])
def test_a_caller_never_hears_of_a_mistake(record: Any, reporter: Reporter) -> None:
    reporter.report(record)
    assert reporter.flush(30)


def test_threads_lose_nothing(recorder: Recorder, reporter: Reporter) -> None:
    def work() -> None:
        for _ in range(500):
            reporter.report(OK)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reporter.flush(30)
    assert len(ids(recorder)) == len(set(ids(recorder))) == 4_000


EXITS = {
    "the end of the script": "",
    "sys.exit": "import sys; sys.exit(3)",
    "an exception": "raise ValueError",
}


@pytest.mark.parametrize("ending", EXITS.values(), ids=EXITS.keys())
def test_what_waits_is_sent_at_the_exit(ending: str, recorder: Recorder) -> None:
    script = (
        "from brownout_reporter import Reporter\n"
        f"reporter = Reporter({recorder.url!r}, interval_s=600)\n"
        f"for _ in range(50): reporter.report({OK!r})\n"
        f"{ending}\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=60)
    assert len(recorder.records) == 50


def test_an_exit_without_the_daemon_has_an_end() -> None:
    script = (
        "from brownout_reporter import Reporter\n"
        "reporter = Reporter('http://127.0.0.1:9', interval_s=600, exit_timeout_s=0.3)\n"
        f"reporter.report({OK!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert b"1 outcomes were not reported" in done.stderr


def report_in_child(reporter: Reporter) -> None:
    reporter.report({**OK, "id": f"child-{os.getpid()}"})


def test_a_fork_reports_its_own_and_only_its_own(recorder: Recorder) -> None:
    reporter = Reporter(recorder.url, interval_s=0.2)
    for number in range(20):
        reporter.report({**OK, "id": f"parent-{number}"})
    # A worker that leaves by sys.exit, as gunicorn's do.
    child = os.fork()
    if child == 0:
        try:
            report_in_child(reporter)
            reporter.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    # One of multiprocessing, which leaves by os._exit.
    process = multiprocessing.get_context("fork").Process(target=report_in_child, args=(reporter,))
    process.start()
    process.join(60)
    assert reporter.flush(30)
    expected = {f"parent-{number}" for number in range(20)}
    expected |= {f"child-{child}", f"child-{process.pid}"}
    assert sorted(ids(recorder)) == sorted(expected)


def test_the_environment_configures_the_shared_reporter(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWNOUT_URL", recorder.url + "/")
    monkeypatch.setenv("BROWNOUT_TOKEN", "t0ken")
    monkeypatch.setenv("BROWNOUT_SERVICE", "checkout")
    monkeypatch.setattr(_reporter, "_shared", None)
    reporter = _reporter.shared()
    assert reporter is _reporter.shared()
    reporter.report(OK)
    assert reporter.flush(30)
    assert recorder.requests[0]["headers"]["Authorization"] == "Bearer t0ken"
    assert recorder.records[0]["service"] == "checkout"


def test_the_log_is_quiet_when_all_is_well(
    recorder: Recorder, reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "brownout_reporter"):
        reporter.report(OK)
        assert reporter.flush(30)
    assert not caplog.records
