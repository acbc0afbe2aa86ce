"""Writes docs/http-api.md from the OpenAPI document: `make docs`. A test sees that it has been done."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag_qa import Settings
from rag_qa.service.app import openapi_document

PAGE = Path(__file__).parent / "http-api.md"
HEAD = """\
<!-- Made by `make docs` from the description that the service gives of itself: change that. -->

# HTTP interface
"""
OK = range(200, 300)


def written() -> str:
    """The page."""
    document = openapi_document(Settings(require_keys=True, keys_file="no-keys.json"))
    parts = [HEAD, document["info"]["description"].strip(), "\n## Routes\n"]
    operations = list(_operations(document))
    parts.append("| route | what it does |\n|---|---|")
    parts += [f"| [`{name}`](#{_anchor(name)}) | {operation['summary']} |" for name, operation in operations]
    for name, operation in operations:
        parts += [f"\n### `{name}`\n", operation.get("description", operation["summary"]).strip(), *_told(operation)]
    parts += ["\n## Statuses\n", "| status | for example |\n|---|---|", *_problems(operations)]
    parts += ["\n## Records\n", "A field with `?` may be left out, or is null.\n"]
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(f"- **{name}**: {_fields(schema)}")
    return "\n".join(parts) + "\n"


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The operations, those of administrators last."""
    for path in sorted(document["paths"], key=lambda path: (path.startswith("/admin"), path)):
        for method, operation in document["paths"][path].items():
            yield f"{method.upper()} {path}", operation


def _told(operation: dict[str, Any]) -> Iterator[str]:
    """Parameters, body and answers of an operation."""
    if parameters := operation.get("parameters"):
        yield "\n| parameter | in | type | meaning |\n|---|---|---|---|"
        for each in parameters:
            schema = each["schema"]
            default = f" (default: {schema['default']})" if "default" in schema else ""
            said = each.get("description", "") + ("" if each["required"] else default or " (optional)")
            yield f"| `{each['name']}` | {each['in']} | {_type(schema)} | {said} |"
    if body := operation.get("requestBody"):
        for kind, content in body["content"].items():
            schema = content.get("schema", {})
            examples = schema.get("examples") or [None]
            yield f"\nBody: `{kind}`" + (f", {_type(schema)}." if schema.get("$ref") else ".")
            if examples[0] is not None:
                yield _json(examples[0])
    for status, response in operation["responses"].items():
        if int(status) not in OK:
            continue
        kinds = response.get("content", {})
        told = ", ".join(f"`{kind}`" for kind in kinds) or "no body"
        yield f"\nAnswer {status}: {told}."
        for content in list(kinds.values())[:1]:
            for example in list(content.get("examples", {}).values())[:1]:
                value = example["value"]
                yield f"```\n{value}\n```" if isinstance(value, str) else _json(value)
    others = [status for status in operation["responses"] if int(status) not in OK]
    if others:
        yield f"\nProblems: {', '.join(others)}."


def _problems(operations: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Every status of a problem, with an example."""
    seen = {}
    for _, operation in operations:
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/problem+json")
            if content:
                (example,) = content["examples"].values()
                seen[status] = example["value"]
    for status, value in sorted(seen.items()):
        yield f"| {status} {value['title']} | {value['detail']} |"


def _fields(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    told = []
    for name, field in schema.get("properties", {}).items():
        kind = _type(field)
        optional = "" if name in required and "null" not in kind.split(" or ") else "?"
        told.append(f"`{name}{optional}` {kind.removesuffix(' or null')}")
    return ", ".join(told)


def _type(schema: dict[str, Any]) -> str:
    """A type in words."""
    if name := schema.get("$ref"):
        return str(name).rpartition("/")[2]
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[several])))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = schema.get("format") or schema.get("type") or "any value"
    return str(kind)


def _json(value: object) -> str:
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=1)}\n```"


def _anchor(name: str) -> str:
    """Returns the anchor that Git hosts make of a heading."""
    kept = "".join(letter for letter in name.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")
