"""The Anthropic SDK with OpenLLMetry, content off."""

import os

# One layer at a time: the SDK makes spans of its own wherever there is a tracer.
os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"

os.environ["TRACELOOP_TRACE_CONTENT"] = "false"

from calls import ask_claude, spans
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

with spans():
    AnthropicInstrumentor().instrument()
    ask_claude()
