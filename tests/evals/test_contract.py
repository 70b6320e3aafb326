"""An API with one planted fault of each kind: every fault is found, nothing unsafe is sent, and a right API is right."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel

from evals.cli.contract import contract as contract_command
from evals.contract import Contract, check_contract, read_expected
from evals.errors import AssayError, EvidenceError, TargetError, UsageError
from evals.openapi import matches, read_document, request_for, resolve, sample, unfit
from evals.probe import Manner

EXPECTED = [
    ("GET", "/items"),
    ("GET", "/hidden"),
    ("GET", "/absent"),
    ("POST", "/absent"),
    ("POST", "/hidden"),
    ("GET", "/items/{other}"),
]


class Item(BaseModel):
    name: str
    price: float


class Order(BaseModel):
    item: str
    count: int = 1
    model_config = {"json_schema_extra": {"examples": [{"item": "bun", "count": 2}]}}


class Plain(BaseModel):
    text: str


BUN = Item(name="bun", price=1.5)


def right(app: FastAPI) -> None:
    @app.get("/items")
    def items() -> list[Item]:
        return [BUN]

    @app.get("/items/{item_id}", responses={404: {}})
    def item(item_id: int) -> Item:
        return BUN

    @app.get("/search")
    def search(q: str, limit: int = 3) -> list[Item]:
        return [BUN] if q else []

    @app.get("/secret")
    def secret() -> Item:
        return BUN

    @app.get("/hidden", include_in_schema=False)
    def hidden() -> str:
        return "here"


def shadowed(app: FastAPI) -> None:
    @app.get("/reports/{number}")
    def report(number: int) -> Item:
        return BUN

    @app.get("/reports/latest")
    def latest() -> Plain:
        return Plain(text="never reached")

    @app.get("/pages/{name}")
    def page(name: str) -> Item:
        return BUN

    @app.get("/pages/index")
    def index() -> Plain:
        return Plain(text="never reached")

    @app.get("/files/{name}")
    def file(name: str) -> Response:
        return JSONResponse({"detail": "no such file"}, 404)

    @app.get("/files/newest")
    def newest() -> Plain:
        return Plain(text="never reached")


def faulty(app: FastAPI) -> None:
    @app.get("/broken", response_model=Item)
    def broken() -> Response:
        return JSONResponse({"name": "bun"})

    @app.get("/text", response_model=Item)
    def text() -> Response:
        return PlainTextResponse("bun")

    @app.get("/crash")
    def crash() -> Response:
        return JSONResponse({"detail": "boom"}, 503)

    @app.get("/teapot")
    def teapot() -> Response:
        return JSONResponse({}, 418)

    @app.get("/moved")
    def moved() -> Response:
        return RedirectResponse("http://127.0.0.1:9/elsewhere")

    @app.get("/slow")
    async def slow() -> Item:
        await asyncio.sleep(1)
        return BUN


def streaming(app: FastAPI) -> None:
    @app.get("/events", responses={200: {"content": {"text/event-stream": {}}}})
    async def events() -> StreamingResponse:
        async def endless() -> Any:
            while True:
                yield "data: {}\n\n"
                await asyncio.sleep(0.05)

        return StreamingResponse(endless(), media_type="text/event-stream")

    @app.get("/large")
    def large() -> list[int]:
        return [1] * 600_000


def changing(app: FastAPI) -> None:
    @app.post("/orders")
    def order(order: Order) -> Item:
        app.state.changed.append(order.model_dump())
        return BUN

    @app.post("/notes")
    def note(note: Plain) -> Plain:
        app.state.changed.append(note.model_dump())
        return note

    @app.delete("/items/{item_id}")
    def remove(item_id: int) -> None:
        app.state.changed.append(item_id)


def make_app() -> FastAPI:
    """`app.state.changed` lists everything that was asked to change something."""
    app = FastAPI(title="Kitchen", version="7")
    app.state.changed = []
    for add in (right, shadowed, faulty, streaming, changing):
        add(app)
    document = app.openapi()
    ok = {"200": {"description": "ok"}}
    document["paths"]["/gone"] = {"get": {"responses": ok}, "delete": {"responses": ok}}
    document["paths"]["/items"]["put"] = {"responses": ok}
    document["paths"]["/items"]["head"] = {"responses": ok}
    document["paths"]["/odd"] = {
        "get": {"responses": ok, "parameters": [{"in": "path", "name": "x", "schema": {"type": "array", "minItems": "two"}}]}
    }
    document["paths"]["/secret"]["get"]["security"] = [{"HTTPBearer": []}]
    return app


def secured(app: FastAPI) -> FastAPI:
    @app.middleware("http")
    async def guard(request: Any, call_next: Any) -> Response:
        if request.url.path == "/secret" and request.headers.get("authorization") != "Bearer right":
            return JSONResponse({"detail": "who are you"}, 401)
        return await call_next(request)

    return app


@contextmanager
def served(app: FastAPI) -> Generator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def kitchen() -> Generator[tuple[FastAPI, str]]:
    app = secured(make_app())
    with served(app) as url:
        yield app, url


def check(url: str, *, expected: list[tuple[str, str]] | None = None, **manner: Any) -> Contract:
    return asyncio.run(check_contract(url, expected or [], Manner(timeout_s=0.6, **manner)))


def states(found: Contract) -> dict[str, str]:
    return {f"{slot.method} {slot.path}": slot.state for slot in found.slots}


def test_every_planted_fault_is_found_and_nothing_is_changed(kitchen: tuple[FastAPI, str]) -> None:
    app, url = kitchen
    app.state.changed.clear()
    found = check(url, expected=EXPECTED)
    assert states(found) == {
        "GET /broken": "partial",
        "GET /crash": "partial",
        "GET /events": "working",
        "GET /files/newest": "shadowed",
        "GET /files/{name}": "undocumented_status",
        "GET /gone": "missing",
        "DELETE /gone": "missing",
        "GET /items": "working",
        "HEAD /items": "missing",
        "PUT /items": "not_tried",
        "GET /items/{item_id}": "working",
        "DELETE /items/{item_id}": "not_tried",
        "GET /large": "working",
        "GET /moved": "undocumented_status",
        "POST /notes": "not_tried",
        "GET /odd": "partial",
        "POST /orders": "not_tried",
        "GET /pages/index": "shadowed",
        "GET /pages/{name}": "working",
        "GET /reports/latest": "shadowed",
        "GET /reports/{number}": "working",
        "GET /search": "working",
        "GET /secret": "not_tried",
        "GET /slow": "partial",
        "GET /teapot": "undocumented_status",
        "GET /text": "partial",
        "GET /hidden": "undocumented_route",
        "GET /absent": "missing",
        "POST /absent": "missing",
        "POST /hidden": "not_tried",
    }
    assert app.state.changed == []
    assert found.planned == len(found.slots) == sum(found.slot_counts.values())
    assert (found.document, found.target) == ("Kitchen 7", url)


def test_every_fault_has_its_reason(kitchen: tuple[FastAPI, str]) -> None:
    reasons = {f"{slot.method} {slot.path}": slot.reason for slot in check(kitchen[1]).slots}
    assert reasons["GET /broken"] == "body.price is missing"
    assert reasons["GET /text"] == "the answer is not JSON, documented is JSON"
    assert reasons["GET /slow"] == "no answer within 0.6 s"
    assert reasons["GET /teapot"] == "HTTP 418 is not among the documented: 200"
    assert "path parameter 'number'" in reasons["GET /reports/latest"]
    assert "/pages/{name} answers in its place" in reasons["GET /pages/index"]
    assert "nothing is found under that name" in reasons["GET /files/newest"]


def test_with_credentials_the_secured_route_is_tried(kitchen: tuple[FastAPI, str]) -> None:
    assert states(check(kitchen[1], token="right"))["GET /secret"] == "working"


def test_only_bodies_with_an_example_are_sent_when_examples_are_allowed(kitchen: tuple[FastAPI, str]) -> None:
    app, url = kitchen
    app.state.changed.clear()
    found = states(check(url, examples=True))
    assert (found["POST /orders"], found["POST /notes"], found["DELETE /items/{item_id}"]) == (
        "working",
        "not_tried",
        "not_tried",
    )
    assert app.state.changed == [{"item": "bun", "count": 2}]


def test_everything_is_sent_when_unsafe_is_allowed(kitchen: tuple[FastAPI, str]) -> None:
    app, url = kitchen
    app.state.changed.clear()
    found = states(check(url, expected=EXPECTED, unsafe=True))
    assert (found["POST /notes"], found["DELETE /items/{item_id}"], found["PUT /items"]) == ("working", "working", "missing")
    assert (found["POST /hidden"], found["POST /absent"]) == ("missing", "missing")
    assert app.state.changed == [1, {"text": "x"}, {"item": "bun", "count": 2}]


def test_an_api_without_a_document_is_held_to_its_expected_routes_alone() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/healthz")
    async def healthz(wait: bool = False) -> str:
        return "ok"

    @app.get("/stuck")
    async def stuck() -> None:
        await asyncio.sleep(1)

    with served(app) as url:
        found = check(url, expected=[("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/stuck")])
        with pytest.raises(TargetError, match="no OpenAPI document"):
            check(url)
    assert states(found) == {"GET /healthz": "undocumented_route", "GET /readyz": "missing", "GET /stuck": "partial"}
    assert found.document is None


def serving(document: Any, kind: str = "application/json") -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(document if isinstance(document, str) else json.dumps(document), media_type=kind)

    return app


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"swagger": "2.0"}, "is no OpenAPI 3 document"),
        ({"openapi": "3.1.0"}, "has no `paths`"),
        ({"openapi": "3.1.0", "paths": {}}, "nothing to check"),
        ({"openapi": "3.1.0", "paths": {"/x": {"get": {"parameters": 3}}}}, "is a damaged OpenAPI document"),
        ("{", "no OpenAPI document"),
    ],
)
def test_a_document_that_cannot_be_used_is_said(document: Any, words: str) -> None:
    with served(serving(document)) as url, pytest.raises(TargetError, match=words):
        check(url)


def test_nobody_there_is_said() -> None:
    with pytest.raises(TargetError, match="start the server"):
        check("http://127.0.0.1:9")


def test_a_server_that_answers_options_alike_everywhere_still_misses_routes() -> None:
    ok = {"200": {"description": "ok"}}
    app = serving({"openapi": "3.0.0", "paths": {"/a": {"get": {"responses": ok}, "post": {"responses": ok}}}})

    @app.middleware("http")
    async def friendly(request: Any, call_next: Any) -> Response:
        return Response(status_code=204) if request.method == "OPTIONS" else await call_next(request)

    with served(app) as url:
        assert states(check(url)) == {"GET /a": "missing", "POST /a": "not_tried"}


def test_the_host_of_a_server_in_the_document_is_never_asked() -> None:
    ok = {"200": {"description": "ok"}}
    app = serving(
        {"openapi": "3.0.0", "servers": [{"url": "http://127.0.0.1:9/v2"}], "paths": {"/a": {"get": {"responses": ok}}}}
    )

    @app.get("/v2/a")
    def a() -> str:
        return "here"

    with served(app) as url:
        assert states(check(url)) == {"GET /v2/a": "working"}


# the parts that read documents

ROOT = {
    "components": {
        "schemas": {
            "Loop": {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/components/schemas/Loop"}}}
        }
    }
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "number", "exclusiveMinimum": 3}, 4),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "string"], "minLength": 3}, "xxx"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "array", "minItems": 2, "items": {"type": "integer"}}, [1, 1]),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": 7}, 7),
        ({"default": 9}, 9),
        ({"examples": {"one": {"value": 3}}}, 3),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"allOf": [{"required": ["a"], "properties": {"a": {}}}, {"type": "string"}]}, {"a": "x"}),
    ],
)
def test_a_sample_is_the_least_that_fits(schema: dict[str, Any], value: Any) -> None:
    assert sample(schema, {}) == value
    assert unfit(value, schema, {}) is None or "allOf" in schema


def test_a_schema_that_holds_itself_ends() -> None:
    loop = {"$ref": "#/components/schemas/Loop"}
    deep = sample(loop, ROOT)
    assert isinstance(deep, dict) and unfit(deep, loop, ROOT) is None
    assert resolve({"$ref": "#/nowhere/at~1all"}, ROOT) == {}


@pytest.mark.parametrize(
    ("value", "schema", "fault"),
    [
        (True, {"type": "integer"}, "body is bool, documented is integer"),
        (None, {"type": "string"}, "body is NoneType, documented is string"),
        (None, {"type": "string", "nullable": True}, None),
        (1, {"const": 2}, "body is 1, documented is 2"),
        ("c", {"enum": ["a"]}, "body is 'c', which is none of the documented values"),
        ([1, "x"], {"type": "array", "items": {"type": "integer"}}, "body.1 is str, documented is integer"),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": False}, "body.b is not documented"),
        ({"a": {"b": 1}}, {"properties": {"a": {"required": ["c"]}}}, "body.a.c is missing"),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "body fits none of 2 alternatives"),
        ({}, {"allOf": [{"required": ["a"]}]}, "body.a is missing"),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(value: Any, schema: dict[str, Any], fault: str | None) -> None:
    assert unfit(value, schema, {}) == fault


def test_a_request_holds_what_is_required_from_examples_first() -> None:
    parameters = [
        {"in": "path", "name": "id", "schema": {"type": "string"}, "example": "a/b"},
        {"in": "path", "name": "id", "schema": {"type": "string"}, "example": "a b"},
        {"in": "query", "name": "all", "required": True, "schema": {"type": "boolean"}},
        {"in": "query", "name": "page", "schema": {"type": "integer"}},
        {"in": "header", "name": "X-Version", "required": True, "schema": {"default": 2}},
    ]
    body = {
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}}
        }
    }
    document = read_document(
        {"openapi": "3.1.0", "paths": {"/x/{id}/{more}": {"parameters": parameters, "post": {"requestBody": body}}, "/y": "odd"}}
    )
    (operation,) = document.operations
    request = request_for(operation, document.root)
    assert (request.path, request.headers, request.body, request.made_up) == (
        "/x/a%20b/1?all=true",
        {"X-Version": "2"},
        {"n": 1},
        True,
    )
    assert (operation.name, matches(operation.path, "/x/1/2"), matches(operation.path, "/x/1")) == (
        "POST /x/{id}/{more}",
        True,
        False,
    )


def test_expected_routes_are_read_with_every_fault_at_once(tmp_path: Path) -> None:
    file = tmp_path / "routes.txt"
    file.write_text("# ours\nget /healthz\n\nPOST /v1/turns  # a turn\n")
    assert read_expected(file) == [("GET", "/healthz"), ("POST", "/v1/turns")]
    file.write_text("GET healthz\nFETCH /a\nGET\n")
    with pytest.raises(UsageError) as stop:
        read_expected(file)
    assert [line.split(": ")[1] for line in str(stop.value).splitlines()] == ["line 1", "line 2", "line 3"]
    with pytest.raises(UsageError, match="cannot be read"):
        read_expected(tmp_path / "missing")


# the command


def run(*arguments: str) -> tuple[Any, str]:
    result = CliRunner().invoke(contract_command, arguments, catch_exceptions=False, standalone_mode=False)
    return result.return_value, result.output


def test_the_command_fails_on_faults_and_keeps_the_slots(
    kitchen: tuple[FastAPI, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = tmp_path / "routes.txt"
    routes.write_text("GET /hidden\n")
    monkeypatch.setenv("KITCHEN_TOKEN", "right")
    out = tmp_path / "contract.json"
    options = ["--expected", str(routes), "--token-env", "KITCHEN_TOKEN", "--timeout-s", "0.6", "--out", str(out)]
    code, said = run(kitchen[1], *options)
    kept = json.loads(out.read_text())
    assert code == 1 and "undocumented_route   GET     /hidden" in said
    assert f"{kept['slot_counts']['working']} / {kept['planned']} planned routes work as documented" in said
    assert kept["schema_version"] == 1 and kept["slots"][0].keys() == {"slot_id", "method", "path", "state", "status", "reason"}
    assert "right" not in out.read_text()
    code, said = run(kitchen[1], *options, "--json")
    assert code == 1 and json.loads(said) == kept


def test_the_command_passes_on_a_right_api_and_is_invalid_when_nothing_could_be_tried() -> None:
    works, mute = FastAPI(), FastAPI()

    @works.get("/a")
    def a() -> int:
        return 1

    @mute.post("/b")
    def b() -> int:
        return 1

    with served(works) as url:
        assert run(url)[0] == 0
    with served(mute) as url:
        assert run(url)[0] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["localhost:80"], "give http"),
        (["http://me:hunter2@127.0.0.1"], "the address: give http"),
        (["http://127.0.0.1:9", "--token-env", "NO_SUCH_TOKEN_HERE"], "no such environment variable"),
    ],
)
def test_a_wrong_option_gets_one_sentence(arguments: list[str], words: str) -> None:
    with pytest.raises(AssayError, match=words) as stop:
        run(*arguments)
    assert "hunter2" not in str(stop.value)


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    app = FastAPI()

    @app.get("/a")
    def a() -> int:
        return 1

    with served(app) as url, pytest.raises(EvidenceError, match="choose another"):
        run(url, "--out", str(tmp_path / "no/such/folder.json"))
