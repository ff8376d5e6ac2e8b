"""The Anthropic SDK with OpenTelemetry's instrumentation for generative AI."""

import os

# One layer at a time: the SDK makes spans of its own wherever there is a tracer.
os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"

from calls import ask_claude, spans
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

with spans():
    AnthropicInstrumentor().instrument()
    ask_claude()
