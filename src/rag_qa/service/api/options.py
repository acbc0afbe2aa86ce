"""OPTIONS: which methods a route takes. Litestar's own answer forgets those that were added to a route later."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State
from litestar.routes import HTTPRoute

__all__ = ["allowed_methods"]


def allowed_methods(request: Request[Any, Any, State]) -> Response[None] | None:
    """The answer to OPTIONS; None for any other request."""
    if request.method != "OPTIONS":
        return None
    template = request.scope["path_template"]
    routes = (route for route in request.app.routes if isinstance(route, HTTPRoute) and route.path_format == template)
    methods = sorted({method for route in routes for method in route.methods})
    return Response(None, status_code=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(methods)})
