"""Rate limits: by key, and by address where there is no valid key."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.exceptions import TooManyRequestsException
from litestar.middleware.rate_limit import CacheObject, RateLimitConfig, RateLimitMiddleware
from litestar.types import Receive, Scope, Send

from rag_qa.service.telemetry.metrics import REFUSED

if TYPE_CHECKING:
    from rag_qa.service.keys import Caller

__all__ = ["RATE_STORE", "rate_limit"]

RATE_STORE = "rate_limit"
"""The name of the store, of which what has expired is to be removed."""
SIGN_IN = "/sign-in"
IPV6_NETWORK = 64  # bits that one customer has the addresses of


class _RateLimit(RateLimitMiddleware):
    """Litestar's, with Retry-After and a sentence."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        try:
            await super().__call__(scope, receive, send)
        except TooManyRequestsException as error:
            REFUSED.labels("rate").inc()
            seconds = (error.headers or {}).get(self.config.rate_limit_reset_header_key, "1")
            detail = f"{self.max_requests} requests in a {self.unit} are allowed: ask again in {seconds} s."
            raise TooManyRequestsException(detail, headers=(error.headers or {}) | {"Retry-After": seconds}) from None

    def create_response_headers(self, cache_object: CacheObject) -> dict[str, str]:
        """Headers about a client's limit; it may retry in a second at the earliest."""
        headers = super().create_response_headers(cache_object)
        key = self.config.rate_limit_reset_header_key
        return headers | {key: str(max(int(headers[key]), 1))}


def rate_limit(requests: int) -> RateLimitConfig:
    """Middleware that limits requests in a minute."""
    return RateLimitConfig(
        rate_limit=("minute", requests),
        exclude_opt_key="unlimited",
        identifier_for_request=_identity,
        middleware_class=_RateLimit,
        store=RATE_STORE,
    )


def _identity(request: Request[Any, Any, Any]) -> str:
    caller: Caller | None = request.scope.get("user")
    if caller is not None and caller.key is not None:
        return f"key {caller.key.id}"
    if request.url.path == SIGN_IN:  # so that wrong keys elsewhere lock nobody at the same address out of it
        return f"signing in from {_network(request.client.host if request.client else '')}"
    return f"address {_network(request.client.host if request.client else '')}"


def _network(host: str) -> str:
    """An address, or of IPv6 the network that its owner may choose addresses of."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, IPV6_NETWORK), strict=False))
    return str(address)
