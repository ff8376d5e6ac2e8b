"""Ready-made clients for the SDKs, and the wrapping of one that exists already."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, List, Optional, TypeVar, Union

from ._reporter import Reporter
from ._transport import AsyncReportingTransport, ReportingTransport

_SDKS = ("anthropic", "openai")
_Client = TypeVar("_Client")


def http_client(
    sdk: Union[str, ModuleType, None] = None,
    *,
    reporter: Optional[Reporter] = None,
    provider: Optional[str] = None,
    early: bool = False,
    **options: Any,
) -> Any:
    """An `http_client` for `anthropic.Anthropic` or `openai.OpenAI` that reports.

    It is the SDK's own default client, of the library that the SDK uses, with its transports
    wrapped. `options` are those of that client. `sdk` is needed only where both SDKs are installed
    and use different libraries.
    """
    make = _module(sdk).DefaultHttpxClient
    return watch(make(**options), reporter=reporter, provider=provider, early=early)


def async_http_client(
    sdk: Union[str, ModuleType, None] = None,
    *,
    reporter: Optional[Reporter] = None,
    provider: Optional[str] = None,
    early: bool = False,
    **options: Any,
) -> Any:
    """The same for `anthropic.AsyncAnthropic` and `openai.AsyncOpenAI`."""
    make = _module(sdk).DefaultAsyncHttpxClient
    return watch(make(**options), reporter=reporter, provider=provider, early=early)


def watch(
    client: _Client,
    *,
    reporter: Optional[Reporter] = None,
    provider: Optional[str] = None,
    early: bool = False,
) -> _Client:
    """Makes an existing client report, and returns it.

    Takes a client of httpx or httpx2, or an SDK's client that holds one (`AnthropicBedrock`,
    `AzureOpenAI`…). Proxies and everything else that it was configured with stay as they are.
    """
    holder: Any = client
    if not hasattr(holder, "_transport"):
        holder = getattr(client, "_client", None)
    transport = getattr(holder, "_transport", None)
    if transport is None:
        raise TypeError(
            f"a {type(client).__name__} cannot be watched; give a client of httpx, httpx2, "
            "anthropic or openai, or wrap its transport with ReportingTransport"
        )
    is_async = hasattr(holder, "aclose")
    wrapper: Any = AsyncReportingTransport if is_async else ReportingTransport

    def wrapped(inner: Any) -> Any:
        if inner is None or isinstance(inner, (ReportingTransport, AsyncReportingTransport)):
            return inner
        return wrapper(inner, reporter, provider=provider, early=early)

    holder._transport = wrapped(transport)
    mounts = getattr(holder, "_mounts", None)
    if isinstance(mounts, dict):
        for pattern, mounted in mounts.items():
            mounts[pattern] = wrapped(mounted)
    return client


def _module(sdk: Union[str, ModuleType, None]) -> Any:
    if isinstance(sdk, ModuleType):
        return sdk
    if sdk is not None:
        return importlib.import_module(sdk)
    names = [name for name in _SDKS if name in sys.modules]
    names = names or [name for name in _SDKS if importlib.util.find_spec(name) is not None]
    if not names:
        raise ImportError("neither anthropic nor openai is installed; give the module as `sdk`")
    modules = [importlib.import_module(name) for name in names]
    libraries: List[str] = [_library_name(module) for module in modules]
    if len(set(libraries)) > 1:
        found = ", ".join(f"{name} uses {library}" for name, library in zip(names, libraries))
        raise ValueError(f'{found}: say which one the client is for, as in http_client("openai")')
    return modules[0]


def _library_name(module: Any) -> str:
    for cls in module.DefaultHttpxClient.__mro__:
        name: str = cls.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return name
    return "?"
