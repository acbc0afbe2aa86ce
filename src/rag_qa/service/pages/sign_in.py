"""Sign-in to the pages with an API key, and sign-out: the browser keeps a cookie, the service its session."""

from http import HTTPStatus
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect
from msgspec import Struct

from rag_qa.service.http.authentication import COOKIE, OPEN, SESSION_SECONDS, WRONG_KEY, Access
from rag_qa.service.http.problems import SECURITY_HEADERS
from rag_qa.service.pages.renderer import rendered

__all__ = ["sign_in", "sign_in_page", "sign_out", "to_sign_in"]

LONGEST_FORM = 4096  # bytes
SIGN_IN = "/sign-in"


class Given(Struct, frozen=True):
    """Fields of the form."""

    key: str = ""
    to: str = "/"


@get(SIGN_IN, sync_to_thread=False, opt=OPEN)
def sign_in_page(request: Request[Any, Any, State]) -> Response[str]:
    """The form for a key, or for signing out."""
    return rendered("sign_in.html", request, to=_local(request.query_params.get("to", "")), problem=None)


@post(SIGN_IN, opt=OPEN, request_max_body_size=LONGEST_FORM)
async def sign_in(
    request: Request[Any, Any, State],
    data: Annotated[Given, Body(media_type=RequestEncodingType.URL_ENCODED)],
    state: State,
) -> Response[Any]:
    """Begins a session, if the key is valid."""
    access: Access = state.access
    if access.keys is None:
        return Redirect(_local(data.to), status_code=303)
    key = access.find(data.key.strip())
    if key is None:
        return rendered("sign_in.html", request, HTTPStatus.UNAUTHORIZED, to=_local(data.to), problem=WRONG_KEY)
    await access.sign_out(request.cookies.get(COOKIE, ""))
    cookie = _cookie(request, await access.sign_in(key), SESSION_SECONDS)
    return Redirect(_local(data.to), status_code=303, cookies=[cookie])


@post("/sign-out", opt=OPEN, request_max_body_size=LONGEST_FORM)
async def sign_out(request: Request[Any, Any, State], state: State) -> Redirect:
    """Ends the session."""
    access: Access = state.access
    await access.sign_out(request.cookies.get(COOKIE, ""))
    return Redirect(SIGN_IN, status_code=303, cookies=[_cookie(request, "", 0)])


def to_sign_in(request: Request[Any, Any, State]) -> Redirect:
    """Redirects to the form, and from there back to the page that was wanted."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Redirect(SIGN_IN, status_code=303, query_params={"to": wanted}, headers=SECURITY_HEADERS)


def _cookie(request: Request[Any, Any, State], value: str, seconds: int) -> Cookie:
    """Cookie for this host alone, hidden from scripts, and sent from other sites only when a link is followed."""
    secure = request.url.scheme == "https"
    return Cookie(key=COOKIE, value=value, max_age=seconds, secure=secure, httponly=True, samesite="lax")


def _local(to: str) -> str:
    """An address on this service: what begins otherwise might lead elsewhere."""
    plain = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable()
    return to if plain else "/"
