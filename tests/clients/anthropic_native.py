"""The Anthropic SDK and the spans that it makes itself."""

from calls import ask_claude, spans

with spans():
    ask_claude()
