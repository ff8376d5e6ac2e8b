"""The OpenAI SDK with OpenTelemetry's instrumentation, and spans of its HTTP client below."""

from calls import ask_gpt, spans
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor

with spans():
    HTTPX2ClientInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    ask_gpt()
