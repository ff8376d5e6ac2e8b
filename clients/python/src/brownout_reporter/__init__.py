"""Reports to brownout what every attempt at a language model ended as.

- `http_client()`, `async_http_client()`, `watch(client)`: the SDKs of Anthropic and OpenAI.
- `ReportingTransport`, `AsyncReportingTransport`: any client of httpx or httpx2.
- `brownout_reporter.litellm`: a logger and a routing filter for LiteLLM.
- `Reporter`: records of your own.
"""

from ._clients import async_http_client, http_client, watch
from ._reporter import Reporter, shared
from ._transport import AsyncReportingTransport, ReportingTransport
from ._version import __version__

__all__ = [
    "AsyncReportingTransport",
    "Reporter",
    "ReportingTransport",
    "__version__",
    "async_http_client",
    "http_client",
    "shared",
    "watch",
]
