"""Measures the embedded model on public tool-call data (BFCL v4: simple, multiple, irrelevance). Never a basis for tuning it.

    python tests/assistant/measure_bfcl.py [FOLDER]

FOLDER holds the BFCL files; by default `$ASSAY_DATA_DIR/bfcl_v4`, else `../shared/data/bfcl_v4`. Exits 0 and says so when they are absent.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelRequest, ToolCallPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from assistant.encoder import SentenceEncoder
from assistant.models.embedded import EmbeddedModel

Row = dict[str, Any]


def rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def tool(function: Mapping[str, Any]) -> ToolDefinition:
    return ToolDefinition(
        name=function["name"],
        description=function["description"],
        parameters_json_schema={**function["parameters"], "type": "object"},
    )


async def call(model: EmbeddedModel, row: Row) -> ToolCallPart | None:
    text = row["question"][0][-1]["content"]
    parameters = ModelRequestParameters(function_tools=[tool(function) for function in row["function"]])
    response = await model.request([ModelRequest(parts=[UserPromptPart(content=text)])], None, parameters)
    return next((part for part in response.parts if isinstance(part, ToolCallPart)), None)


def accepted(given: object, allowed: list[Any]) -> bool:
    return any(same(given, one) for one in allowed)


def same(given: object, wanted: object) -> bool:
    """Numbers by value, texts without case and punctuation, as the benchmark's own checker does."""
    if isinstance(given, str) and isinstance(wanted, str):
        return plain(given) == plain(wanted)
    if isinstance(given, list) and isinstance(wanted, list):
        return len(given) == len(wanted) and all(same(one, two) for one, two in zip(given, wanted, strict=True))
    return given == wanted


def plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter not in " ,./-_*^'\"")


def arguments_right(given: Mapping[str, Any], wanted: Mapping[str, list[Any]]) -> bool:
    known = all(name in wanted and accepted(value, wanted[name]) for name, value in given.items())
    return known and all(name in given or "" in allowed for name, allowed in wanted.items())


async def score(model: EmbeddedModel, folder: Path, name: str) -> str:
    answers = {row["id"]: row["ground_truth"][0] for row in rows(folder / "possible_answer" / f"BFCL_v4_{name}.json")}
    named = full = total = 0
    for row in rows(folder / f"BFCL_v4_{name}.json"):
        total += 1
        made = await call(model, row)
        ((function, wanted),) = answers[row["id"]].items()
        if made is not None and made.tool_name == function:
            named += 1
            full += arguments_right(made.args_as_dict(), wanted)
    return f"{name}: function {named} / {total} ({named / total:.1%}), function and all arguments {full} / {total} ({full / total:.1%})"


async def score_irrelevance(model: EmbeddedModel, folder: Path) -> str:
    made = [await call(model, row) for row in rows(folder / "BFCL_v4_irrelevance.json")]
    silent = sum(one is None for one in made)
    return f"irrelevance: no call {silent} / {len(made)} ({silent / len(made):.1%})"


def main() -> int:
    default = Path(os.environ["ASSAY_DATA_DIR"]) if "ASSAY_DATA_DIR" in os.environ else Path("../shared/data")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default / "bfcl_v4"
    if not (folder / "BFCL_v4_simple_python.json").exists():
        sys.stdout.write(f"{folder}: the BFCL files are not here; nothing was measured\n")
        return 0
    encoder = SentenceEncoder.load(cache_dir=Path(tempfile.gettempdir()) / "assay-measure")
    model = EmbeddedModel(encoder)
    started = time.perf_counter()
    for name in ("simple_python", "multiple"):
        sys.stdout.write(asyncio.run(score(model, folder, name)) + "\n")
    sys.stdout.write(asyncio.run(score_irrelevance(model, folder)) + "\n")
    sys.stdout.write(f"{(time.perf_counter() - started) / 840 * 1000:.1f} ms per request, cold caches included\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
