"""The OpenAI SDK with OpenInference."""

from calls import ask_gpt, spans
from openinference.instrumentation.openai import OpenAIInstrumentor

with spans():
    OpenAIInstrumentor().instrument()
    ask_gpt()
