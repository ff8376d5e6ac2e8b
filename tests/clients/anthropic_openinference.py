"""The Anthropic SDK with OpenInference."""

import os

# One layer at a time: the SDK makes spans of its own wherever there is a tracer.
os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"

from calls import ask_claude, spans
from openinference.instrumentation.anthropic import AnthropicInstrumentor

with spans():
    AnthropicInstrumentor().instrument()
    ask_claude()
