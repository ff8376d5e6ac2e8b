"""The reporter: takes records from the caller's threads and brings them to the daemon.

`report` appends to a bounded buffer and returns; one daemon thread makes batches and sends them
with `urllib`, so a report never travels through a transport that reports. A batch keeps its bytes,
its ids and its key until it is settled: repeating it is harmless, and an outage of the daemon costs
nothing until the buffer is full. Then the oldest records go, because states are decided from the
freshest, and the loss is counted.

Nothing here raises into the caller: what goes wrong in this package is its own problem, told in the
log of the name `brownout_reporter`.
"""

from __future__ import annotations

import atexit
import gzip
import json
import logging
import os
import random
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import weakref
from collections import deque
from email.utils import parsedate_to_datetime
from typing import Any, Deque, Dict, List, Mapping, Optional, Tuple

from ._record import cleaned
from ._version import __version__

log = logging.getLogger("brownout_reporter")

DEFAULT_URL = "http://127.0.0.1:10529"

#: Records kept while the daemon is away: at half a kilobyte each some 5 MB, and minutes of traffic.
CAPACITY = 10_000
#: Records in one request; the daemon takes 5,000.
BATCH_MAX = 500
#: Longest pause between two tries of the same batch, in seconds.
BACKOFF_MAX_S = 15.0
#: A server that asks for more patience than this is asked again anyway.
RETRY_AFTER_MAX_S = 60.0
#: The same complaint is logged once in this time.
COMPLAIN_EVERY_S = 60.0
#: How much of an answer is read.
ANSWER_BYTES_MAX = 1024 * 1024
#: Tries of a batch that the daemon fails on with a 5xx that does not mean "later".
BROKEN_TRIES_MAX = 5

_LATER = frozenset({408, 425, 429, 502, 503, 504})
#: Answers that are about the configuration, not about the batch: an operator can mend them while
#: the records wait.
_MISCONFIGURED = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 407})

_all: "weakref.WeakSet[Reporter]" = weakref.WeakSet()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET, and the token at whoever is named there."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def problem_with(url: str) -> Optional[str]:
    """What must change before a URL can be the daemon's."""
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    return None if usable else "must be an http or https URL with a host"


def opener_for(url: str) -> urllib.request.OpenerDirector:
    """An opener that follows no redirect and reaches this machine's loopback past any proxy."""
    handlers: List[urllib.request.BaseHandler] = [_NoRedirect()]
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if host in ("localhost", "::1") or host.startswith("127."):
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


class _Batch:
    """Records on their way, with the bytes and the key that every try repeats."""

    def __init__(self, records: List[Dict[str, Any]]) -> None:
        self.records = records
        self.key = uuid.uuid4().hex
        self.tries = 0
        self._body: Optional[bytes] = None

    def body(self) -> bytes:
        """The bytes on the wire, made on the sender's thread and only once."""
        if self._body is None:
            lines = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in self.records)
            self._body = gzip.compress(lines.encode(), 5)
        return self._body


class Reporter:
    """Reports outcomes to a brownout daemon from a background thread.

    Arguments win over the environment variables BROWNOUT_URL, BROWNOUT_TOKEN and BROWNOUT_SERVICE.
    With an empty BROWNOUT_URL nothing is reported.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        token: Optional[str] = None,
        service: Optional[str] = None,
        *,
        capacity: int = CAPACITY,
        interval_s: float = 1.0,
        timeout_s: float = 10.0,
        exit_timeout_s: float = 3.0,
    ) -> None:
        env = os.environ.get
        self._token = token if token is not None else env("BROWNOUT_TOKEN")
        self._service = service if service is not None else env("BROWNOUT_SERVICE")
        self._capacity = max(1, capacity)
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._exit_timeout_s = exit_timeout_s
        self._complained: Dict[str, float] = {}
        url = (url if url is not None else env("BROWNOUT_URL", DEFAULT_URL)).strip()
        wrong = problem_with(url) if url else None
        if wrong is not None:
            log.error("nothing is reported: BROWNOUT_URL %s, as in %s", wrong, DEFAULT_URL)
        self._endpoint = url.rstrip("/") + "/v1/outcomes" if url and wrong is None else None
        self._opener = opener_for(url)
        self._start_afresh()
        _all.add(self)

    def _start_afresh(self) -> None:
        """The state of a new process: a fork must neither send its parent's records nor wait for
        its threads."""
        self._changed = threading.Condition(threading.Lock())
        self._buffer: Deque[Dict[str, Any]] = deque()
        self._in_flight: Optional[_Batch] = None
        self._thread: Optional[threading.Thread] = None
        self._pid = os.getpid()
        self._at_exit = False
        self._closing = False
        self._hurry = False
        self._taken = 0
        self._settled = 0
        self._dropped = 0
        self._dropped_unsaid = 0
        self._rejected = 0

    @property
    def enabled(self) -> bool:
        """Whether records go anywhere."""
        return self._endpoint is not None

    @property
    def stats(self) -> Dict[str, int]:
        """How many records were taken, settled (answered or given up), dropped, rejected, wait."""
        with self._changed:
            return {
                "taken": self._taken,
                "settled": self._settled,
                "dropped": self._dropped,
                "rejected": self._rejected,
                "waiting": self._taken - self._settled,
            }

    def report(self, record: Mapping[str, Any]) -> None:
        """Reports one attempt. Never blocks on the network and never raises.

        Fields are those of the daemon's `POST /v1/outcomes`; all others are left out.
        """
        try:
            if self._endpoint is None:
                return
            kept = cleaned(record)
            kept.setdefault("id", uuid.uuid4().hex)
            kept.setdefault("ts", round(time.time(), 3))
            if self._service:
                kept.setdefault("service", self._service[:64])
            with self._changed:
                self._ensure_thread()
                self._taken += 1
                self._buffer.append(kept)
                held = len(self._in_flight.records) if self._in_flight else 0
                if len(self._buffer) + held > self._capacity:
                    # A batch in flight may have arrived, so the oldest that has not left goes.
                    self._buffer.popleft()
                    self._drop(1)
                self._changed.notify_all()
        except Exception as error:
            self._complain("report", "a record could not be taken: %s", type(error).__name__)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Waits until all that was reported before is settled; false when the time is up."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            goal = self._taken
            self._hurry = True
            self._changed.notify_all()
            while self._settled < goal:
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None:
                    return False
                self._changed.wait(left)
            return True

    def close(self, timeout_s: Optional[float] = None) -> bool:
        """Sends what waits, for at most the exit's deadline; true when nothing is left."""
        with self._changed:
            thread = self._thread
            self._closing = True
            self._changed.notify_all()
        if thread is not None and thread.is_alive():
            thread.join(self._exit_timeout_s if timeout_s is None else timeout_s)
        with self._changed:
            left = self._taken - self._settled
            self._closing = False
        if left:
            log.warning("%d outcomes were not reported before the exit", left)
        return left == 0

    # Below, the sender's side.

    def _ensure_thread(self) -> None:
        if self._pid != os.getpid():
            self._start_afresh()
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = threading.Thread(target=self._run, name="brownout-reporter", daemon=True)
        self._thread.start()
        if self._at_exit:
            return
        self._at_exit = True
        atexit.register(_close_if_alive, weakref.ref(self))
        process = sys.modules.get("multiprocessing.process")
        util = sys.modules.get("multiprocessing.util")
        if process is not None and util is not None and process.parent_process() is not None:
            # A forked child of multiprocessing leaves by os._exit, which skips atexit.
            util.Finalize(None, _close_if_alive, (weakref.ref(self),), exitpriority=10)

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._dropped_unsaid += count
        self._settled += count

    def _run(self) -> None:
        try:
            while True:
                batch = self._next_batch()
                if batch is None:
                    return
                pause = self._send(batch)
                if pause > 0:
                    self._wait(pause)
        except Exception as error:
            self._complain("thread", "the sender stopped: %s", type(error).__name__)
            with self._changed:
                if self._in_flight is not None:
                    self._drop(len(self._in_flight.records))
                    self._in_flight = None
                self._changed.notify_all()

    def _next_batch(self) -> Optional[_Batch]:
        """The batch that is not settled yet, or a new one; none when closing and empty."""
        with self._changed:
            self._say_drops()
            if self._in_flight is not None:
                return self._in_flight
            while not self._buffer:
                self._hurry = False
                if self._closing:
                    return None
                self._changed.wait()
            ripe = time.monotonic() + self._interval_s
            while len(self._buffer) < BATCH_MAX and not (self._hurry or self._closing):
                left = ripe - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            count = min(BATCH_MAX, len(self._buffer))
            records = [self._buffer.popleft() for _ in range(count)]
            self._in_flight = _Batch(records)
            return self._in_flight

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._closing:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)
            # At the exit the daemon gets a last chance in quick steps, until the deadline.
            self._changed.wait(min(0.2, seconds))

    def _send(self, batch: _Batch) -> float:
        """Tries the batch once; the pause before the next try, 0 when it is settled."""
        batch.tries += 1
        status, headers, answer = self._post(batch)
        if status == 413 and len(batch.records) > 1:
            self._split(batch)
            return 0.0
        later = status is None or status in _LATER
        broken = status is not None and status >= 500 and status not in _LATER
        if later or (broken and batch.tries < BROKEN_TRIES_MAX):
            what = "cannot be reached" if status is None else f"answered {status}"
            self._complain("away", "the daemon %s; the records wait", what)
            return self._pause(batch.tries, headers)
        if status in _MISCONFIGURED:
            self._complain(
                "refused",
                "the daemon answered %s; check BROWNOUT_URL and BROWNOUT_TOKEN, the records wait",
                status,
            )
            return BACKOFF_MAX_S
        self._settle(batch, status, answer)
        return 0.0

    def _post(self, batch: _Batch) -> Tuple[Optional[int], Any, bytes]:
        assert self._endpoint is not None
        headers = {
            "content-type": "application/x-ndjson",
            "content-encoding": "gzip",
            "idempotency-key": batch.key,
            "user-agent": f"brownout-reporter-python/{__version__}",
        }
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        try:
            request = urllib.request.Request(self._endpoint, batch.body(), headers, method="POST")
            with self._opener.open(request, timeout=self._timeout_s) as reply:
                return reply.status, reply.headers, reply.read(ANSWER_BYTES_MAX)
        except urllib.error.HTTPError as error:
            with error:
                try:
                    return error.code, error.headers, error.read(ANSWER_BYTES_MAX)
                except Exception:
                    return error.code, error.headers, b""
        except Exception:
            # Whether the records arrived is not known, so they are sent again under their ids.
            return None, {}, b""

    def _pause(self, tries: int, headers: Any) -> float:
        longest = min(BACKOFF_MAX_S, 0.25 * 2 ** min(tries - 1, 10))
        # Full jitter over half the range: reporters that lost the daemon together come back apart.
        pause: float = longest * random.uniform(0.5, 1.0)
        return max(pause, _retry_after(headers))

    def _split(self, batch: _Batch) -> None:
        half = len(batch.records) // 2
        with self._changed:
            self._in_flight = _Batch(batch.records[:half])
            self._buffer.extendleft(reversed(batch.records[half:]))

    def _settle(self, batch: _Batch, status: Optional[int], answer: bytes) -> None:
        rejected, reason = _rejections(answer)
        if status is None or status >= 300:
            rejected = len(batch.records)
            reason = reason or f"HTTP {status}"
        with self._changed:
            self._settled += len(batch.records)
            self._rejected += rejected
            self._in_flight = None
            self._changed.notify_all()
        if rejected:
            self._complain(
                "rejected", "the daemon refused %d records, the first: %s", rejected, reason
            )

    def _say_drops(self) -> None:
        if self._dropped_unsaid:
            said = self._complain(
                "drops",
                "%d records were dropped, the oldest first: the buffer holds %d and the daemon "
                "does not take them",
                self._dropped_unsaid,
                self._capacity,
            )
            if said:
                self._dropped_unsaid = 0

    def _complain(self, kind: str, text: str, *args: object) -> bool:
        """Warns, at most once a minute for each kind."""
        try:
            now = time.monotonic()
            if now - self._complained.get(kind, -COMPLAIN_EVERY_S) < COMPLAIN_EVERY_S:
                return False
            self._complained[kind] = now
            log.warning(text, *args)
            return True
        except Exception:
            return False


def _retry_after(headers: Any) -> float:
    value = (headers.get("retry-after") or "").strip()
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(seconds, RETRY_AFTER_MAX_S) if seconds > 0 else 0.0


def _rejections(answer: bytes) -> Tuple[int, str]:
    """How many records an answer lists as refused, and why the first was."""
    try:
        document = json.loads(answer)
        refused = document.get("rejected") or []
        if refused:
            return len(refused), str(refused[0].get("error", ""))[:200]
        error = document.get("error")
        return 0, str(error.get("message", ""))[:200] if isinstance(error, dict) else ""
    except (ValueError, AttributeError, TypeError):
        return 0, ""


def _close_if_alive(reference: "weakref.ref[Reporter]") -> None:
    reporter = reference()
    if reporter is not None and reporter._pid == os.getpid():
        reporter.close()


def _after_fork() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for reporter in list(_all):
        reporter._start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


_shared: Optional[Reporter] = None
_shared_lock = threading.Lock()


def shared() -> Reporter:
    """The reporter of this process, made from the environment on first use."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Reporter()
        return _shared
