"""The Anthropic SDK's own spans, OpenLLMetry's around them and those of the HTTP client below."""

import os

os.environ["TRACELOOP_TRACE_CONTENT"] = "false"

from calls import ask_claude, spans
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor

with spans():
    HTTPX2ClientInstrumentor().instrument()
    AnthropicInstrumentor().instrument()
    ask_claude()
