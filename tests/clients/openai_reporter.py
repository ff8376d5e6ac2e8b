"""The OpenAI SDK with the reporter of clients/python."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "clients/python/src"))

import brownout_reporter
from calls import BROWNOUT, ask_gpt

reporter = brownout_reporter.Reporter(BROWNOUT)
ask_gpt(http_client=brownout_reporter.http_client("openai", reporter=reporter))
assert reporter.flush(30), reporter.stats
