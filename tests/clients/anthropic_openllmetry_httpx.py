"""The Anthropic SDK with OpenLLMetry, content off, and spans of its HTTP client below."""

import os

# The SDK makes spans of its own wherever there is a tracer.
os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"

os.environ["TRACELOOP_TRACE_CONTENT"] = "false"

from calls import ask_claude, spans
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor

with spans():
    HTTPX2ClientInstrumentor().instrument()
    AnthropicInstrumentor().instrument()
    ask_claude()
