"""The Anthropic SDK's own spans, and the reporter of clients/python beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "clients/python/src"))

import brownout_reporter
from calls import BROWNOUT, ask_claude, spans

reporter = brownout_reporter.Reporter(BROWNOUT)
with spans():
    ask_claude(http_client=brownout_reporter.http_client("anthropic", reporter=reporter))
assert reporter.flush(30), reporter.stats
