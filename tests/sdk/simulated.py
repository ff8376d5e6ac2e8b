"""The simulator as a test script sees it: its admin endpoints, and what its ledger should hold.

The script's first argument is the base URL. The fleet plays the model `m` of every provider with
exact rates and short latencies.
"""

import json
import sys
import urllib.request
from collections import Counter

BASE = sys.argv[1]
ASK = [{"role": "user", "content": "Weather?"}]
ANSWER = "The weather is fair in every region."
FAIR = dict.fromkeys(
    "slow overloaded stream_overloaded rate_limited quota_exhausted billing auth unavailable "
    "server_error reset stream_reset drip half_open wrong_type redirect huge".split(),
    0.0,
)
expected = Counter()


def http(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, data)) as reply:
        return json.load(reply)


def weather(provider, **ratios):
    """Sets this weather and no other; exact rates start anew with it."""
    http("/admin/weather", {"provider": provider, "model": "m", **FAIR, **ratios})


def saw(provider, cls, code, attempt="first", count=1):
    expected[provider, "m", attempt, cls, code] += count


def raised(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001 - the caller looks at its type
        return error
    raise AssertionError("no error was raised")


def ledger():
    rows = http("/admin/ledger")["rows"]
    keys = ("provider", "model", "attempt", "class", "code")
    return Counter({tuple(row[key] for key in keys): row["count"] for row in rows})


def finish():
    """Compares the ledger with what the script saw and says "ok"."""
    actual = ledger()
    # A hung-up client is noticed when the server next looks at its socket.
    for _ in range(1_000):
        if actual == expected:
            break
        actual = ledger()
    assert actual == expected, (actual - expected, expected - actual)
    print("ok", sum(actual.values()), "exchanges")
