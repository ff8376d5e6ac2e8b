"""The OpenAI SDK with OpenLLMetry, content off."""

import os

os.environ["TRACELOOP_TRACE_CONTENT"] = "false"

from calls import ask_gpt, spans
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

with spans():
    OpenAIInstrumentor().instrument()
    ask_gpt()
