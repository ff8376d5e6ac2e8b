"""What the daemon says about targets, fetched in the background and asked without waiting.

The view starts with the first question, rests when nobody asks, and fails open: with no answer,
an old one, or a name that the daemon does not know, a target is simply not known to be bad.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import weakref
from typing import Any, Dict, Optional, Tuple

from ._reporter import DEFAULT_URL, opener_for

log = logging.getLogger("brownout_reporter")

Name = Tuple[str, str]

#: Names that are remembered; beyond this many, new ones are unknown.
NAMES_MAX = 1_000
#: How long a name that the daemon did not know is left alone, in seconds.
UNKNOWN_FOR_S = 60.0
#: Without a question for this long nothing is fetched any more, in seconds.
REST_AFTER_S = 60.0
ANSWER_BYTES_MAX = 32 * 1024 * 1024


class HealthView:
    """The health document of a daemon, at most a few seconds old."""

    def __init__(
        self, url: Optional[str] = None, *, every_s: float = 2.0, timeout_s: float = 5.0
    ) -> None:
        self._url = (
            url if url is not None else os.environ.get("BROWNOUT_URL", DEFAULT_URL)
        ).strip()
        self._url = self._url.rstrip("/")
        self._opener = opener_for(self._url)
        self._every_s = every_s
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._forget()
        _views.add(self)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._wake = threading.Event()
        self._asked_at = 0.0
        self._etag: Optional[str] = None
        self._targets: Dict[Name, Dict[str, Any]] = {}
        self._fetched_at: Optional[float] = None
        self._stale_after_s = 10.0
        #: From a client's names to the daemon's, or when it said that it knows none.
        self._names: Dict[Name, Tuple[Optional[Name], float]] = {}

    def target(self, provider: str, model: str) -> Optional[Dict[str, Any]]:
        """What is known about a target now; never waits."""
        now = time.monotonic()
        name = (provider, model)
        with self._lock:
            self._asked_at = now
            self._ensure_thread()
            known, _ = self._names.get(name, (None, 0.0))
            if name not in self._names and len(self._names) < NAMES_MAX:
                self._names[name] = (None, -UNKNOWN_FOR_S)
                self._wake.set()
            oldest = max(self._stale_after_s, 3 * self._every_s)
            if self._fetched_at is None or now - self._fetched_at > oldest:
                return None
            return self._targets.get(known) if known is not None else None

    def _ensure_thread(self) -> None:
        if self._url and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._run, name="brownout-health", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if time.monotonic() - self._asked_at > REST_AFTER_S:
                    self._thread = None
                    return
            self._wake.clear()
            try:
                self._refresh()
                self._learn_names()
            except Exception as error:
                # What is known grows old by itself.
                log.debug("no health document: %s", type(error).__name__)
            self._wake.wait(self._every_s)

    def _refresh(self) -> None:
        headers = {"if-none-match": self._etag} if self._etag else {}
        status, etag, body = self._get("/v1/health", headers)
        with self._lock:
            if status == 200:
                document = json.loads(body)
                self._targets = {
                    (target["provider"], target["model"]): target for target in document["targets"]
                }
                self._stale_after_s = float(document.get("stale_after_s") or 10.0)
                self._etag = etag
            if status in (200, 304):
                self._fetched_at = time.monotonic()

    def _learn_names(self) -> None:
        """Asks the daemon what its own names are for those that clients use."""
        now = time.monotonic()
        with self._lock:
            unknown = [
                name
                for name, (known, at) in self._names.items()
                if known is None and now - at >= UNKNOWN_FOR_S
            ]
        for name in unknown:
            path = "/".join(urllib.parse.quote(part, safe="") for part in name)
            status, _, body = self._get(f"/v1/health/{path}", {})
            known: Optional[Name] = None
            if status == 200:
                document = json.loads(body)
                known = (document["provider"], document["model"])
            with self._lock:
                self._names[name] = (known, time.monotonic())

    def _get(self, path: str, headers: Dict[str, str]) -> Tuple[int, Optional[str], bytes]:
        request = urllib.request.Request(self._url + path, headers=headers)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as reply:
                return reply.status, reply.headers.get("etag"), reply.read(ANSWER_BYTES_MAX)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None, b""


_views: "weakref.WeakSet[HealthView]" = weakref.WeakSet()


def _after_fork() -> None:
    for view in list(_views):
        view._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
