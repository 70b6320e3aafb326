"""Does an HTTP API do what its OpenAPI document and a list of expected routes promise? Each promise ends in exactly one state.

By default nothing is sent that could change anything: GET, HEAD and OPTIONS only. Requests go to the given address alone, redirects are
not followed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2

from evals.errors import TargetError, UsageError
from evals.openapi import METHODS, Document, Operation, Request, matches, request_for, unfit
from evals.probe import SAFE, TOO_LONG, Answer, Manner, Probe

SCHEMA_VERSION = 1
_UNKNOWN = "/no-such-route-of-any-api"

State = Literal["working", "partial", "missing", "shadowed", "undocumented_status", "undocumented_route", "not_tried"]
"""`partial`: answers, but fails or not as documented. `shadowed`: another route answers in its place. `undocumented_route`: expected
and there, but not in the document. `not_tried`: would need a request that is not safe, or credentials."""


@dataclass(frozen=True, kw_only=True)
class ContractSlot:
    """One promise. `status` is what the server answered, null when nothing was sent or nothing came."""

    slot_id: str
    method: str
    path: str
    state: State
    status: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Contract:
    """`document` is the title and version of the OpenAPI document, null when the API has none."""

    target: str
    document: str | None
    planned: int
    slot_counts: Mapping[str, int]
    slots: Sequence[ContractSlot]
    schema_version: int = SCHEMA_VERSION


async def check_contract(url: str, expected: Sequence[tuple[str, str]], manner: Manner) -> Contract:
    """Walk every documented operation, then every expected route that is not documented. Raises `TargetError`."""
    headers = {"Authorization": f"Bearer {manner.token}"} if manner.token else {}
    base = url.rstrip("/")
    async with httpx2.AsyncClient(timeout=manner.timeout_s, headers=headers, follow_redirects=False) as client:
        probe = Probe(client, base, manner)
        document = await probe.document(required=not expected)
        walk = _Walk(
            probe=probe,
            document=document,
            unknown=await probe.ask("GET", _UNKNOWN),
            unknown_options=await probe.ask("OPTIONS", _UNKNOWN),
        )
        slots = [await walk.documented(operation) for operation in document.operations] if document else []
        known = (
            {(operation.method, _shape(operation.path)) for operation in document.operations}
            if document
            else set[tuple[str, str]]()
        )
        slots += [await walk.expected(method, path) for method, path in expected if (method, _shape(path)) not in known]
    if not slots:
        raise TargetError(f"{base}: its OpenAPI document has no operation and no route is expected; there is nothing to check")
    counts = Counter(slot.state for slot in slots)
    label = f"{document.title} {document.version}".strip() if document else None
    return Contract(target=base, document=label, planned=len(slots), slot_counts=dict(sorted(counts.items())), slots=slots)


def read_expected(path: Path) -> list[tuple[str, str]]:
    """Routes as `METHOD /path`, one a line; `#` starts a comment. Raises `UsageError` with every fault."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--expected {path}: cannot be read ({error})") from error
    routes: list[tuple[str, str]] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) == 2 and words[0].lower() in METHODS and words[1].startswith("/"):
            routes.append((words[0].upper(), words[1]))
        else:
            faults.append(f"{path}: line {number}: {line.strip()!r} is no route; write METHOD /path, for example GET /healthz")
    if faults:
        raise UsageError("\n".join(faults))
    return routes


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """`unknown` and `unknown_options` are how this server answers for a path that cannot exist."""

    probe: Probe
    document: Document | None
    unknown: Answer
    unknown_options: Answer

    async def documented(self, operation: Operation) -> ContractSlot:
        root = self.document.root if self.document else {}
        try:
            request = request_for(operation, root)
        except (AttributeError, TypeError, ValueError) as error:
            return _slot(operation.method, operation.path, "partial", None, f"its description cannot be read ({error})")
        if not self.probe.manner.may_send(operation):
            return await self._unsent(operation.method, operation.path, request.path)
        answer = await self.probe.send(request)
        state, reason = await self._judged(operation, request, answer)
        return _slot(operation.method, operation.path, state, answer.status, reason)

    async def expected(self, method: str, path: str) -> ContractSlot:
        concrete = request_for(_bare(method, path), {}).path
        if method not in SAFE and not self.probe.manner.unsafe:
            return await self._unsent(method, path, concrete, missing_from_document=True)
        answer = await self.probe.ask(method, concrete)
        if answer.status is None:
            return _slot(method, path, "partial", None, answer.fault)
        if answer.status == 405 or await self._nobody(method, concrete, answer):
            return _slot(method, path, "missing", answer.status, "expected, but neither documented nor answered")
        return _slot(method, path, "undocumented_route", answer.status, "answers, but the document does not name it")

    async def _unsent(self, method: str, path: str, concrete: str, *, missing_from_document: bool = False) -> ContractSlot:
        """What is known of an operation that may not be sent: whether its path exists."""
        if await self._path_exists(concrete) is False:
            return _slot(method, path, "missing", None, "no route answers on this path")
        told = ", and it is not documented" if missing_from_document else ""
        return _slot(method, path, "not_tried", None, f"{method} may change something{told}; allow it with --unsafe")

    async def _judged(self, operation: Operation, request: Request, answer: Answer) -> tuple[State, str]:
        status = answer.status
        if status is None:
            return "partial", answer.fault
        if status == 405:
            return "missing", f"the path is there, but not for {operation.method}"
        if await self._nobody(operation.method, request.path, answer) and not (request.made_up and operation.documents(404)):
            return "missing", "documented, but no route answers"
        if status in {401, 403} and (operation.secured or operation.documents(status)):
            return "not_tried", f"needs credentials (HTTP {status}); give them with --token-env"
        if shadow := self._shadow(operation, request, answer):
            return "shadowed", shadow
        return self._as_documented(operation, answer, status)

    def _as_documented(self, operation: Operation, answer: Answer, status: int) -> tuple[State, str]:
        if status >= 500:
            return "partial", f"fails with HTTP {status}"
        if not operation.documents(status):
            known = ", ".join(sorted(operation.responses)) or "none"
            return "undocumented_status", f"HTTP {status} is not among the documented: {known}"
        if fault := self._body_fault(operation, answer):
            return "partial", fault
        return "working", f"HTTP {status} as documented"

    async def _nobody(self, method: str, path: str, answer: Answer) -> bool:
        """Whether the server answers as for a path that cannot exist, and OPTIONS does not tell otherwise."""
        alike = answer.status == self.unknown.status and (method == "HEAD" or _same_text(answer, self.unknown, path))
        return alike and not await self._path_exists(path)

    async def _path_exists(self, path: str) -> bool | None:
        """Null when this server answers OPTIONS alike for every path."""
        answer = await self.probe.ask("OPTIONS", path)
        if answer.status != self.unknown_options.status:
            return True
        return False if self.unknown_options.status in {404, 410} else None

    def _shadow(self, operation: Operation, request: Request, answer: Answer) -> str | None:
        """Why another route must have answered; null when nothing says so."""
        if name := _foreign_parameter(operation, answer):
            return f"the answer complains about the path parameter {name!r}, which belongs to another route"
        path = request.path.partition("?")[0]
        others = [other for other in (self.document.operations if self.document else []) if _rival(operation, other, path)]
        if not others:
            return None
        if answer.status == 404 and not operation.documents(404):
            return f"{others[0].path} answers in its place: nothing is found under that name"
        if answer.checkable and self._body_fault(operation, answer):
            taken = next((other for other in others if _has_schema(other, answer) and not self._body_fault(other, answer)), None)
            return f"{taken.path} answers in its place: the body is of that route" if taken else None
        return None

    def _body_fault(self, operation: Operation, answer: Answer) -> str | None:
        content = _content(operation, answer)
        documented = next((media for kind, media in content.items() if "json" in kind), None)
        if documented is None or operation.method == "HEAD" or not answer.status or answer.status == 204:
            return None
        if not answer.checkable:
            return "the answer is not JSON, documented is JSON" if len(content) == 1 and answer.text != TOO_LONG else None
        return unfit(answer.body, documented.get("schema") or {}, self.document.root if self.document else {})


def _slot(method: str, path: str, state: State, status: int | None, reason: str) -> ContractSlot:
    return ContractSlot(slot_id=f"contract/{method} {path}", method=method, path=path, state=state, status=status, reason=reason)


def _bare(method: str, path: str) -> Operation:
    return Operation(method=method, path=path, parameters=[], body=None, body_example=None, responses={}, secured=False)


def _shape(path: str) -> str:
    """A template whatever its parameters are called."""
    return "/".join("{}" if part.startswith("{") else part for part in path.rstrip("/").split("/"))


def _same_text(answer: Answer, unknown: Answer, path: str) -> bool:
    return answer.text.replace(path, "") == unknown.text.replace(_UNKNOWN, "")


def _rival(operation: Operation, other: Operation, path: str) -> bool:
    return other.path != operation.path and other.method == operation.method and "{" in other.path and matches(other.path, path)


def _foreign_parameter(operation: Operation, answer: Answer) -> str | None:
    """A path parameter that a validation error names and the operation does not have (the error shape of FastAPI)."""
    detail = answer.body.get("detail") if isinstance(answer.body, dict) and answer.status in {400, 422} else None
    own = {parameter.get("name") for parameter in operation.parameters}
    for fault in detail if isinstance(detail, list) else []:
        place = fault.get("loc") if isinstance(fault, dict) else None
        if isinstance(place, list) and len(place) > 1 and place[0] == "path" and place[1] not in own:
            return str(place[1])
    return None


def _content(operation: Operation, answer: Answer) -> Mapping[str, Any]:
    status = answer.status or 0
    keys = (str(status), f"{status // 100}XX", f"{status // 100}xx", "default")
    response = next((operation.responses[key] for key in keys if key in operation.responses), {})
    return response.get("content") or {}


def _has_schema(operation: Operation, answer: Answer) -> bool:
    return any(media.get("schema") for kind, media in _content(operation, answer).items() if "json" in kind)
