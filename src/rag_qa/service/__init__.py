"""The HTTP service: a Litestar application over one engine."""

from rag_qa.service.app import create_app
from rag_qa.service.server import serve

__all__ = ["create_app", "serve"]
