"""The Anthropic SDK's own spans, and a span of the HTTP client for each attempt below them."""

from calls import ask_claude, spans
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor

with spans():
    HTTPX2ClientInstrumentor().instrument()
    ask_claude()
