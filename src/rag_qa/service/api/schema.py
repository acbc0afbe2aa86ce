"""The page at /schema: Swagger UI, every file of it served from here."""

import importlib.util
from http import HTTPStatus
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from rag_qa import __version__
from rag_qa.service.http.authentication import OPEN
from rag_qa.service.http.problems import TOLD, problem

__all__ = ["openapi_config"]

PACKAGE = "swagger_ui"
PATH = "/schema"
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
SETUP = "setup.js"
# Swagger UI sets style attributes; scripts come from files only, and nothing from another host.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>rag_qa: HTTP interface</title>
<link rel="icon" href="{PATH}/assets/favicon-32x32.png">
<link rel="stylesheet" href="{PATH}/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{PATH}/assets/swagger-ui-bundle.js"></script>
<script src="{PATH}/assets/{SETUP}"></script>
</body>
</html>
"""


class _Page(OpenAPIRenderPlugin):
    """Swagger UI over the OpenAPI document at /schema/openapi.json."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The page."""
        return PAGE.encode()

    def receive_router(self, router: Router) -> None:
        """Adds the page's files."""
        router.register(_asset)


@get("/assets/{name:str}", sync_to_thread=True, include_in_schema=False)
def _asset(name: FromPath[str]) -> Response[bytes]:
    if name == SETUP:
        return Response((Path(__file__).parent / SETUP).read_bytes(), media_type="text/javascript")
    if name not in ASSETS:
        raise NotFoundException
    return Response((_swagger_folder() / name).read_bytes(), media_type=ASSETS[name])


def _problem_for_unknown_paths(response: Response[Any]) -> Response[Any]:
    """Litestar answers unknown paths under /schema with a page of its own."""
    if response.status_code == HTTPStatus.NOT_FOUND:
        return problem(HTTPStatus.NOT_FOUND, TOLD[HTTPStatus.NOT_FOUND])
    return response


def _swagger_folder() -> Path:
    """Folder in which the package keeps Swagger UI; found without running the package's code."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None  # noqa: S101 - a dependency of this package
    assert spec.submodule_search_locations  # noqa: S101
    return Path(spec.submodule_search_locations[0]) / "static"


def openapi_config(*, with_keys: bool) -> OpenAPIConfig:
    """The OpenAPI document and its page; it says whether a key is needed."""
    return OpenAPIConfig(
        title="rag_qa",
        version=__version__,
        description=(Path(__file__).parent / "description.md").read_text("utf-8"),
        create_examples=False,
        components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"key": []}] if with_keys else None,
        render_plugins=[_Page(path="/")],
        openapi_router=Router(
            path=PATH,
            route_handlers=[],
            include_in_schema=False,
            opt=OPEN,
            after_request=_problem_for_unknown_paths,
            response_headers=[ResponseHeader(name="Content-Security-Policy", value=POLICY)],
        ),
    )
