"""YAML read into a model, every fault with its file, line, field and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[int | str]
Locate = Callable[[Location], str]
"""Gives `file:line` of a field."""


class PolicyError(Exception):
    """A policy cannot be used: every fault on its own line, each with file, line, field, fault and remedy."""


def read_model(path: Path, model: type[Model], what: str) -> tuple[Model, Locate]:
    """Read a YAML file into `model`; `what` names it in messages (`a policy`). Raises `PolicyError` with every fault."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror}); give the path of {what} file") from error
    except yaml.YAMLError as error:
        raise PolicyError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        keys = " and ".join(name for name in model.model_fields if name in ("name", "lines", "waivers"))
        raise PolicyError(f"{path}: not {what}: a mapping with {keys} is expected")

    def locate(loc: Location) -> str:
        return _place(path, node, loc)

    try:
        return model.model_validate(data), locate
    except ValidationError as error:
        raise PolicyError("\n".join(_fault(locate, model, row) for row in error.errors())) from error


def _fault(locate: Locate, model: type[BaseModel], row: Any) -> str:
    loc: tuple[int | str, ...] = row["loc"]
    where = f"{locate(loc)}: {_dotted(loc)}"
    if row["type"] == "extra_forbidden":
        known = list(_fields(model, loc[:-1]))
        nearest = get_close_matches(str(loc[-1]), known, n=1)
        return f"{where}: unknown field" + (f"; did you mean {nearest[0]!r}?" if nearest else f"; use one of {', '.join(known)}")
    return f"{where}: {row['msg'].removeprefix('Value error, ')}"


def _fields(model: type[BaseModel], loc: Location) -> Iterator[str]:
    """Names of the fields of the model at `loc`."""
    for part in loc:
        if isinstance(part, str):
            model = next(_models(model.model_fields[part].annotation), model)
    yield from model.model_fields


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _dotted(loc: Location) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _place(path: Path, node: yaml.Node | None, loc: Location) -> str:
    """`file:line` of the deepest part of `loc` that the file holds."""
    line = node.start_mark.line if node else 0
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == part]
            if not pairs:
                break
            line, node = int(pairs[0][0].start_mark.line), pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line if node else line
        else:
            break
    return f"{path}:{line + 1}"
