"""OpenAPI documents as far as a contract check reads them: operations, requests that fit them, and whether a body fits a schema."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
_DEEP = 12
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
_FORMATS = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "email": "someone@example.com",
    "uri": "http://example.com/",
}
Schema = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one path template. `statuses` are keys as documented: `200`, `2XX`, `default`."""

    method: str
    path: str
    parameters: Sequence[Mapping[str, Any]]
    body: Schema | None
    body_example: Any
    responses: Mapping[str, Mapping[str, Any]]
    secured: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def documents(self, status: int) -> bool:
        return any(key in self.responses for key in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"))


@dataclass(frozen=True, kw_only=True)
class Request:
    """`path` with its query; `made_up` says that some value of the path came from a schema and no example."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None
    made_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Document:
    title: str
    version: str
    operations: Sequence[Operation]
    root: Mapping[str, Any]


def read_document(data: Any) -> Document:
    """Raises `ValueError` with what is wrong when `data` is no OpenAPI 3 document."""
    if not isinstance(data, dict) or not str(data.get("openapi", "")).startswith("3"):
        raise ValueError("is no OpenAPI 3 document")
    if not isinstance(data.get("paths"), dict):
        raise ValueError("has no `paths`")
    operations = [
        _operation(data, path, item, method)
        for path, item in sorted(data["paths"].items())
        if isinstance(item, dict)
        for method in METHODS
        if isinstance(item.get(method), dict)
    ]
    info = data.get("info") or {}
    return Document(title=str(info.get("title", "")), version=str(info.get("version", "")), operations=operations, root=data)


def request_for(operation: Operation, root: Mapping[str, Any]) -> Request:
    """A request with every required parameter, from examples where there are some, else from schemas."""
    path, query, headers, made_up = operation.path, list[str](), dict[str, str](), False
    for parameter in operation.parameters:
        place, name = parameter.get("in"), str(parameter.get("name"))
        given = _declared(parameter)
        schema = resolve(parameter.get("schema") or {}, root)
        value = _plain(given[0] if given else sample(schema, root))
        if place == "path":
            path = path.replace("{" + name + "}", quote(value, safe=""))
            made_up = made_up or not (given or _declared(schema) or "enum" in schema)
        elif parameter.get("required") and place == "query":
            query.append(f"{quote(name)}={quote(value, safe='')}")
        elif parameter.get("required") and place == "header":
            headers[name] = value
    for name in re.findall(r"\{[^}]*\}", path):
        path, made_up = path.replace(name, "1"), True
    body = None
    if operation.body is not None:
        body = operation.body_example if operation.body_example is not None else sample(operation.body, root)
    return Request(
        method=operation.method, path=path + ("?" + "&".join(query) if query else ""), headers=headers, body=body, made_up=made_up
    )


def resolve(schema: Any, root: Mapping[str, Any]) -> Schema:
    """The schema behind local references; anything else than a schema is the schema that allows everything."""
    for _ in range(_DEEP):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if reference is None:
            break
        schema = root
        for part in str(reference).removeprefix("#/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            schema = schema.get(key, {}) if isinstance(schema, dict) else {}
    return schema if isinstance(schema, dict) else {}


def sample(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that should fit: declared examples first, then the least the type asks for."""
    schema = resolve(schema, root)
    if given := _declared(schema):
        return given[0]
    if "const" in schema or schema.get("enum"):
        return schema.get("const", (schema.get("enum") or [None])[0])
    if depth > _DEEP:
        return None
    for several in ("allOf", "oneOf", "anyOf"):
        if parts := schema.get(several):
            if several != "allOf":
                return sample(parts[0], root, depth + 1)
            values = [sample(part, root, depth + 1) for part in parts]
            return {key: value for part in values if isinstance(part, dict) for key, value in part.items()}
    return _least(schema, root, depth)


def unfit(value: Any, schema: Any, root: Mapping[str, Any], place: str = "body") -> str | None:
    """The first place where `value` does not fit, in words; null when it fits. Checks structure: types, fields, items, enums, alternatives."""
    schema = resolve(schema, root)
    if place.count(".") > _DEEP:
        return None
    for part in schema.get("allOf", []):
        if fault := unfit(value, part, root, place):
            return fault
    for several in ("anyOf", "oneOf"):
        parts = schema.get(several)
        if parts and all(unfit(value, part, root, place) for part in parts):
            return f"{place} fits none of {len(parts)} alternatives"
    if "const" in schema and value != schema["const"]:
        return f"{place} is {value!r}, documented is {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{place} is {value!r}, which is none of the documented values"
    if (fault := _mistyped(value, schema, place)) is not None:
        return fault
    return _unfit_inside(value, schema, root, place)


def matches(template: str, path: str) -> bool:
    """Whether a concrete path (without query) is one of the template's."""
    pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", template))
    return re.fullmatch(pattern, path) is not None


def _operation(root: Mapping[str, Any], path: str, item: Mapping[str, Any], method: str) -> Operation:
    spec = item[method]
    parameters: dict[tuple[Any, Any], Mapping[str, Any]] = {}
    for raw in [*(item.get("parameters") or []), *(spec.get("parameters") or [])]:
        parameter = resolve(raw, root)
        parameters[parameter.get("in"), parameter.get("name")] = parameter
    body = resolve(spec.get("requestBody") or {}, root).get("content") or {}
    json_body = next((content for kind, content in body.items() if "json" in kind), None)
    examples = _declared(json_body or {}) or _declared(resolve((json_body or {}).get("schema") or {}, root))
    return Operation(
        method=method.upper(),
        path=_prefix(root) + path,
        parameters=list(parameters.values()),
        body=None if json_body is None else json_body.get("schema") or {},
        body_example=examples[0] if examples else None,
        responses={str(key): resolve(value, root) for key, value in (spec.get("responses") or {}).items()},
        secured=bool(spec.get("security", root.get("security"))),
    )


def _prefix(root: Mapping[str, Any]) -> str:
    """The path of the first server; its host is never asked."""
    servers = root.get("servers") or [{}]
    return urlsplit(str(servers[0].get("url", ""))).path.rstrip("/")


def _declared(holder: Mapping[str, Any]) -> list[Any]:
    """Examples of a parameter, a media type or a schema, and the default."""
    found = [holder["example"]] if "example" in holder else []
    examples = holder.get("examples")
    if isinstance(examples, dict):
        found += [one["value"] for one in examples.values() if isinstance(one, dict) and "value" in one]
    elif isinstance(examples, list):
        found += examples
    return found + ([holder["default"]] if holder.get("default") is not None else [])


def _least(schema: Schema, root: Mapping[str, Any], depth: int) -> Any:
    kind = _kind(schema)
    if kind == "object":
        fields = schema.get("properties") or {}
        return {name: sample(fields.get(name, {}), root, depth + 1) for name in schema.get("required") or []}
    if kind == "array":
        return [sample(schema.get("items") or {}, root, depth + 1)] * int(schema.get("minItems") or 0)
    if kind in {"integer", "number"}:
        return schema.get("minimum", max(1, schema.get("exclusiveMinimum", 0) + 1))
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _FORMATS.get(str(schema.get("format")), "x" * max(1, int(schema.get("minLength") or 0)))


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return str(next((one for one in kind if one != "null"), "null"))
    return str(kind) if kind else "object" if "properties" in schema else "string"


def _mistyped(value: Any, schema: Schema, place: str) -> str | None:
    kinds = schema.get("type")
    if kinds is None or (value is None and schema.get("nullable")):
        return None
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if isinstance(value, _TYPES.get(kind, object)) and not (kind in {"integer", "number"} and isinstance(value, bool)):
            return None
    return f"{place} is {type(value).__name__}, documented is {kinds}"


def _unfit_inside(value: Any, schema: Schema, root: Mapping[str, Any], place: str) -> str | None:
    if isinstance(value, list):
        faults = (unfit(item, schema.get("items") or {}, root, f"{place}.{at}") for at, item in enumerate(value))
        return next((fault for fault in faults if fault), None)
    if not isinstance(value, dict):
        return None
    fields: Mapping[str, Any] = schema.get("properties") or {}
    if missing := [name for name in schema.get("required") or [] if name not in value]:
        return f"{place}.{missing[0]} is missing"
    if schema.get("additionalProperties") is False and (extra := [name for name in value if name not in fields]):
        return f"{place}.{extra[0]} is not documented"
    faults = (unfit(value[name], field, root, f"{place}.{name}") for name, field in fields.items() if name in value)
    return next((fault for fault in faults if fault), None)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
