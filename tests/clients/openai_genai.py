"""The OpenAI SDK with OpenTelemetry's instrumentation for generative AI."""

from calls import ask_gpt, spans
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

with spans():
    OpenAIInstrumentor().instrument()
    ask_gpt()
