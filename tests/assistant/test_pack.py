"""A pack is read whole, and everything wrong with it is said at once."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from assistant.pack import Pack, PackError, PackFault
from assistant.packs import shipped_packs

PACK = """
name: garden
title: Garden centre
version: 2
safest_agent: plants
out_of_scope_reply: I only know plants.
agents:
  plants:
    description: Everything that grows.
    prompt: plants.md
    model: embedded
    model_settings: {temperature: 0.2, max_tokens: 300}
    tools: [water_plant]
  till:
    description: Sales.
    prompt: till.md
    tools: [count_money, water_plant]
"""
TOOLS = """
from __future__ import annotations
from dataclasses import dataclass
from pydantic_ai import RunContext
from typing_extensions import TypedDict
from assistant.deps import TurnDeps

class Said(TypedDict):
    summary: str

@dataclass(frozen=True, kw_only=True)
class PlantDeps(TurnDeps): ...

@dataclass(frozen=True, kw_only=True)
class TillDeps(TurnDeps): ...

AGENT_DEPS = {"plants": PlantDeps, "till": TillDeps}

async def water_plant(ctx: RunContext[TurnDeps], plant: str) -> Said:
    '''Record that a plant was watered.'''
    return {"summary": plant}

async def count_money(ctx: RunContext[TillDeps]) -> Said:
    '''Show the money in the till.'''
    return {"summary": "none"}
"""
SEED = "plants:\n  fern: {name: Fern, watered: 2026-06-14, leaves: 3, notes: [green]}\n"


def write_pack(folder: Path, *, pack: str = PACK, tools: str = TOOLS, seed: str | None = SEED) -> Path:
    (folder / "prompts").mkdir(parents=True)
    (folder / "pack.yaml").write_text(dedent(pack))
    (folder / "tools.py").write_text(dedent(tools))
    for name in ("plants", "till"):
        (folder / "prompts" / f"{name}.md").write_text(f"You are {name}. {{{{ style }}}}")
    (folder / "prompts" / "_style.md").write_text("Be kind.\n")
    if seed is not None:
        (folder / "seed.yaml").write_text(seed)
    return folder


def faults_of(folder: str | Path) -> list[str]:
    with pytest.raises(PackError) as caught:
        Pack.load(folder)
    assert str(caught.value).splitlines()[0] == str(caught.value.faults[0]).splitlines()[0]
    return [str(fault) for fault in caught.value.faults]


def test_a_folder_anywhere_loads_as_a_pack(tmp_path: Path) -> None:
    pack = Pack.load(write_pack(tmp_path / "garden"))
    plants, till = pack.agents["plants"], pack.agents["till"]
    assert (pack.name, pack.title, pack.version, pack.safest_agent) == ("garden", "Garden centre", 2, "plants")
    assert pack.greeting_reply == pack.out_of_scope_reply == "I only know plants."
    assert plants.spec.name == "plants"
    assert plants.spec.description == "Everything that grows."
    assert plants.spec.model == plants.model == "embedded"
    assert plants.spec.model_settings == {"temperature": 0.2, "max_tokens": 300}
    assert till.spec.model_settings is None
    assert [tool.__name__ for tool in till.tools] == ["count_money", "water_plant"]
    assert (plants.deps_type.__name__, till.deps_type.__name__) == ("PlantDeps", "TillDeps")
    assert plants.prompt.read_text() == "You are plants. {{ style }}"
    assert pack.variables == {"style": "Be kind."}
    assert (pack.prompts.name, pack.knowledge.name, pack.utterances.name) == ("prompts", "knowledge", "utterances.jsonl")


def test_seed_dates_stay_text_because_state_is_json(tmp_path: Path) -> None:
    pack = Pack.load(write_pack(tmp_path / "garden"))
    assert pack.seed == {"plants": {"fern": {"name": "Fern", "watered": "2026-06-14", "leaves": 3, "notes": ["green"]}}}


def test_a_pack_without_seed_starts_empty(tmp_path: Path) -> None:
    assert Pack.load(write_pack(tmp_path / "garden", seed=None)).seed == {}
    assert Pack.load(write_pack(tmp_path / "bare", seed="")).seed == {}


def test_tools_may_be_a_package_with_relative_imports(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "garden")
    (folder / "tools.py").rename(folder / "own.py")
    (folder / "tools").mkdir()
    (folder / "tools" / "__init__.py").write_text("from ..own import AGENT_DEPS, count_money, water_plant\n")
    assert len(Pack.load(folder).agents["till"].tools) == 2


def test_an_edited_pack_is_imported_anew(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "garden")
    before = Pack.load(folder).agents["plants"].tools[0]
    assert Pack.load(folder).agents["plants"].tools[0] is before
    (folder / "tools.py").write_text(TOOLS.replace("was watered", "was fed"))
    assert "was fed" in (Pack.load(folder).agents["plants"].tools[0].__doc__ or "")


def test_handoffs_all_lets_every_agent_hand_over_to_every_other(tmp_path: Path) -> None:
    pack = Pack.load(write_pack(tmp_path / "garden"))
    assert pack.handoffs == {"plants": {"till"}, "till": {"plants"}}
    assert pack.may_hand_off("plants", "till")
    assert not pack.may_hand_off("plants", "plants")
    assert not pack.may_hand_off("nobody", "till")


def test_handoffs_may_be_listed_per_agent(tmp_path: Path) -> None:
    pack = Pack.load(write_pack(tmp_path / "garden", pack=PACK + "handoffs: {till: [plants]}\n"))
    assert pack.handoffs == {"plants": frozenset(), "till": {"plants"}}


def test_an_unknown_pack_names_the_nearest_shipped_one() -> None:
    assert faults_of("qsrr") == ["qsrr: no pack or folder of this name; shipped: qsr (did you mean 'qsr'?)"]


def test_a_folder_that_is_no_pack_says_so(tmp_path: Path) -> None:
    assert faults_of(tmp_path) == [f"{tmp_path}: the folder has no pack.yaml"]


def test_every_fault_is_told_at_once_with_the_nearest_right_value(tmp_path: Path) -> None:
    bad = PACK.replace("water_plant]\n  till", "watter_plant]\n  till").replace("till.md", "tilll.md")
    bad = bad.replace("safest_agent: plants", "safest_agent: plant") + "handoffs: {til: [plantz]}\n"
    folder = write_pack(tmp_path / "garden", pack=bad, seed="plants: [1]\n")
    assert faults_of(folder) == [
        "pack.yaml: safest_agent: no agent is named 'plant' (did you mean 'plants'?)",
        "pack.yaml: handoffs: no agent is named 'til' (did you mean 'till'?)",
        "pack.yaml: handoffs.til: no agent is named 'plantz' (did you mean 'plants'?)",
        "pack.yaml: agents.till.prompt: prompts/tilll.md does not exist (did you mean 'till.md'?)",
        "seed.yaml: plants: input should be a valid dictionary",
        "pack.yaml: agents.plants.tools: no async function 'watter_plant' in tools (did you mean 'water_plant'?)",
    ]


def test_unknown_fields_and_missing_ones_are_named(tmp_path: Path) -> None:
    bad = PACK.replace("safest_agent", "safest_agnet").replace("    prompt: till.md", "    promt: till.md")
    assert faults_of(write_pack(tmp_path / "garden", pack=bad)) == [
        "pack.yaml: safest_agent: field required",
        "pack.yaml: agents.till.prompt: field required",
        "pack.yaml: agents.till.promt: unknown field (did you mean 'prompt'?)",
        "pack.yaml: safest_agnet: unknown field (did you mean 'safest_agent'?)",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: [", "pack.yaml: line 2: expected the node content, but found '<stream end>'"),
        ("name: a\nname: b\n", "pack.yaml: line 2: the key 'name' is given twice"),
        ("name: \x00", "pack.yaml: not readable as YAML text: unacceptable character #x0000: special characters are not allowed"),
        ("just words", "pack.yaml: must be a mapping of fields to values"),
    ],
)
def test_a_file_that_is_no_yaml_says_where(tmp_path: Path, text: str, fault: str) -> None:
    folder = write_pack(tmp_path / "garden")
    (folder / "pack.yaml").write_text(text + ("\n" if text == "name: [" else ""))
    assert faults_of(folder) == [fault]


def test_a_broken_seed_file_is_a_fault(tmp_path: Path) -> None:
    assert (
        faults_of(write_pack(tmp_path / "garden", seed="a: {b: {c: 1, c: 2}}"))[0]
        == "seed.yaml: line 1: the key 'c' is given twice"
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("AGENT_DEPS = {", "OTHER = {", "tools: AGENT_DEPS: must be a dict from agent name to a subclass of TurnDeps"),
        ('"till": TillDeps', '"tilll": TillDeps', "tools: AGENT_DEPS.tilll: no agent has this name (did you mean 'till'?)"),
        ('"till": TillDeps', '"till": int', "tools: AGENT_DEPS.till: missing, or not a subclass of TurnDeps"),
        (
            "'''Record that a plant was watered.'''",
            "pass",
            "tools: water_plant: has no docstring: the model reads it to decide when to call the tool",
        ),
        (
            "ctx: RunContext[TillDeps]",
            "ctx: int",
            "tools: count_money: its first parameter must be annotated RunContext[<the agent's deps>]",
        ),
        (
            "(ctx: RunContext[TillDeps])",
            "()",
            "tools: count_money: its first parameter must be annotated RunContext[<the agent's deps>]",
        ),
        (
            "[TillDeps]",
            "[PlantDeps]",
            "tools: count_money: takes RunContext[PlantDeps], which is not the deps type of its agent (TillDeps)",
        ),
        ("plant: str", "plant", "tools: water_plant: parameter plant has no type"),
        ("plant: str", "plant: Gone", "tools: water_plant: its annotations cannot be resolved: name 'Gone' is not defined"),
        ("plant: str", "plant: TurnDeps", "tools: water_plant: no schema can be made of it: "),
        pytest.param(
            "from typing_extensions",
            "from typing",
            "tools: water_plant: Could not generate return schema",
            marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="typing.TypedDict carries what is needed from 3.12 on"),
        ),
        ("from __future__", "import nothing_here\nfrom __future__", "tools: cannot be imported: SyntaxError"),
        ("AGENT_DEPS = {", "1 / 0\nAGENT_DEPS = {", "tools: cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_each_fault_of_the_tools_is_caught(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in TOOLS
    found = faults_of(write_pack(tmp_path / "garden", tools=TOOLS.replace(old, new)))
    assert any(line.startswith(fault) for line in found), found


def test_a_tool_listed_twice_is_a_fault(tmp_path: Path) -> None:
    bad = PACK.replace("[count_money, water_plant]", "[count_money, count_money]")
    assert faults_of(write_pack(tmp_path / "garden", pack=bad)) == ["pack.yaml: agents.till.tools: 'count_money' is listed twice"]


def test_a_fault_without_field_or_hint_reads_plainly() -> None:
    assert str(PackFault(file="pack.yaml", field="", fault="is empty")) == "pack.yaml: is empty"


def test_every_shipped_pack_loads_under_its_folder_name() -> None:
    assert "qsr" in shipped_packs()
    for name, folder in shipped_packs().items():
        pack = Pack.load(name)
        assert (pack.name, pack.folder) == (name, folder)
        assert Pack.load(folder).agents.keys() == pack.agents.keys()
