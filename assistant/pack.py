"""A pack: one assistant as a folder of agents, prompts, tools, knowledge and starting state, read and checked at the edge."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_ai.agent.spec import AgentSpec

from assistant.deps import Fusion, TurnDeps
from assistant.errors import AssistantError
from assistant.pack_tools import PackTools, Tool, ToolFault, load_tools
from assistant.packs import shipped_packs
from assistant.wire import Collections

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
SettingName = Literal["temperature", "max_tokens", "top_p", "timeout", "seed", "presence_penalty", "frequency_penalty"]


@dataclass(frozen=True, kw_only=True)
class PackFault:
    """One thing wrong with a pack. `nearest` is the closest right value, when there is one."""

    file: str
    field: str
    fault: str
    nearest: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}: {self.field}" if self.field else self.file
        hint = f" (did you mean {self.nearest!r}?)" if self.nearest else ""
        return f"{place}: {self.fault}{hint}"


class PackError(AssistantError):
    """A pack cannot be used. `faults` holds every fault found, not only the first."""

    def __init__(self, faults: Iterable[PackFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, kw_only=True)
class PackAgent:
    """One specialist. `spec` carries name, description, model and model settings; the prompt at `prompt` is its instructions.

    `when_failing` is added to every answer that a broken tool or model left incomplete. Where a message asks several agents for something, those of higher
    `priority` answer first.
    """

    name: str
    spec: AgentSpec
    prompt: Path
    model: str | None
    deps_type: type[TurnDeps]
    tools: tuple[Tool, ...]
    when_failing: str = ""
    priority: int = 0


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A checked pack. `handoffs` says to which agents each agent may hand the conversation; `seed` is the state a sandbox
    starts from; `variables` are handed to every prompt: those of pack.yaml and one per shared text (`prompts/_style.md` is `style`).
    A routing decision whose probability is below `unsure_below` goes to `safest_agent`, or to a router model where one is set.
    `fusion` says how knowledge search joins words and meaning (`assistant.knowledge`)."""

    name: str
    title: str
    version: int
    folder: Path
    agents: Mapping[str, PackAgent]
    safest_agent: str
    out_of_scope_reply: str
    greeting_reply: str
    handoffs: Mapping[str, frozenset[str]]
    variables: Mapping[str, str]
    seed: Collections
    unsure_below: float = 0.0
    fusion: Fusion = "ranks"

    @property
    def prompts(self) -> Path:
        return self.folder / "prompts"

    @property
    def knowledge(self) -> Path:
        return self.folder / "knowledge"

    @property
    def utterances(self) -> Path:
        return self.folder / "utterances.jsonl"

    def may_hand_off(self, from_agent: str, to_agent: str) -> bool:
        return to_agent in self.handoffs.get(from_agent, frozenset[str]())

    @classmethod
    def load(cls, name_or_folder: str | Path) -> Pack:
        """Read and check a shipped pack by name, or any pack by its folder. Raises `PackError` with all faults."""
        folder = _folder(name_or_folder)
        entry, faults = _read(folder / "pack.yaml", _PackEntry)
        if entry is None:
            raise PackError(faults)
        seed, seed_faults = _read_seed(folder / "seed.yaml")
        code, tool_faults = load_tools(folder, {name: agent.tools for name, agent in entry.agents.items()})
        faults = [*_cross_check(entry, folder), *seed_faults, *(_from_tools(fault) for fault in tool_faults)]
        if faults:
            raise PackError(faults)
        names = frozenset(entry.agents)
        allowed = dict.fromkeys(names, names) if entry.handoffs == "all" else {k: frozenset(v) for k, v in entry.handoffs.items()}
        return cls(
            name=entry.name,
            title=entry.title,
            version=entry.version,
            folder=folder,
            agents={name: _agent(name, agent, folder, code) for name, agent in entry.agents.items()},
            safest_agent=entry.safest_agent,
            out_of_scope_reply=entry.out_of_scope_reply,
            greeting_reply=entry.greeting_reply or entry.out_of_scope_reply,
            handoffs={name: allowed.get(name, frozenset[str]()) - {name} for name in entry.agents},
            variables={**_partials(folder), **entry.variables},
            seed=seed,
            unsure_below=entry.unsure_below,
            fusion=entry.fusion,
        )


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _AgentEntry(_Entry):
    description: Annotated[str, Field(min_length=1)]
    prompt: Annotated[str, Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)] | None = None
    model_settings: dict[SettingName, int | float] = {}
    tools: Annotated[list[str], Field(min_length=1)]
    when_failing: str = ""
    priority: Annotated[int, Field(ge=0)] = 0


class _PackEntry(_Entry):
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    title: Annotated[str, Field(min_length=1)]
    version: Annotated[int, Field(ge=1)]
    safest_agent: str
    unsure_below: Annotated[float, Field(ge=0, le=1)] = 0.0
    fusion: Fusion = "ranks"
    out_of_scope_reply: Annotated[str, Field(min_length=1)]
    greeting_reply: str | None = None
    handoffs: Literal["all"] | dict[str, list[str]] = "all"
    variables: dict[str, str] = {}
    agents: Annotated[dict[Annotated[str, Field(pattern=NAME_PATTERN)], _AgentEntry], Field(min_length=1)]


class _PlainLoader(yaml.SafeLoader):
    """Reads dates as text (state is JSON) and refuses a key given twice, which plain YAML reading drops in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} is given twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _as_written(_: yaml.Loader, node: yaml.Node) -> str:
    return str(node.value)


_PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _as_written)


def _folder(name_or_folder: str | Path) -> Path:
    shipped = shipped_packs()
    if isinstance(name_or_folder, str) and name_or_folder in shipped:
        return shipped[name_or_folder]
    folder = Path(name_or_folder).resolve()
    if (folder / "pack.yaml").is_file():
        return folder
    what = "the folder has no pack.yaml" if folder.is_dir() else f"no pack or folder of this name; shipped: {', '.join(shipped)}"
    raise PackError([PackFault(file=str(name_or_folder), field="", fault=what, nearest=nearest(str(name_or_folder), shipped))])


def nearest(value: str, choices: Iterable[str]) -> str | None:
    """The choice most like `value`, or None when nothing is near."""
    found = difflib.get_close_matches(value, list(choices), n=1, cutoff=0.6)
    return found[0] if found else None


def _yaml(path: Path) -> tuple[object, list[PackFault]]:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader), []
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        field = f"line {mark.line + 1}" if mark else ""
        return None, [PackFault(file=path.name, field=field, fault=error.problem or "not readable as YAML")]
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        return None, [PackFault(file=path.name, field="", fault=f"not readable as YAML text: {str(error).splitlines()[0]}")]


def _read(path: Path, model: type[_PackEntry]) -> tuple[_PackEntry | None, list[PackFault]]:
    data, faults = _yaml(path)
    if faults:
        return None, faults
    if not isinstance(data, dict):
        return None, [PackFault(file=path.name, field="", fault="must be a mapping of fields to values")]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, _faults(path.name, error)


def _read_seed(path: Path) -> tuple[Collections, list[PackFault]]:
    if not path.is_file():
        return {}, []
    data, faults = _yaml(path)
    if faults:
        return {}, faults
    try:
        rows = TypeAdapter(dict[str, dict[str, dict[str, JsonValue]]]).validate_python(data or {})
    except ValidationError as error:
        return {}, _faults(path.name, error)
    return {collection: dict(found) for collection, found in rows.items()}, []


def _faults(file: str, error: ValidationError) -> list[PackFault]:
    faults: list[PackFault] = []
    for item in error.errors(include_url=False):
        field = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            allowed = _AgentEntry.model_fields if item["loc"][0] == "agents" else _PackEntry.model_fields
            key = str(item["loc"][-1])
            faults.append(PackFault(file=file, field=field, fault="unknown field", nearest=nearest(key, allowed)))
        else:
            message = item["msg"][0].lower() + item["msg"][1:]
            faults.append(PackFault(file=file, field=field, fault=message))
    return faults


def _cross_check(entry: _PackEntry, folder: Path) -> list[PackFault]:
    agents = list(entry.agents)
    named = [("safest_agent", entry.safest_agent)]
    if entry.handoffs != "all":
        named += [("handoffs", name) for name in entry.handoffs]
        named += [(f"handoffs.{giver}", name) for giver, takers in entry.handoffs.items() for name in takers]
    faults = [
        PackFault(file="pack.yaml", field=field, fault=f"no agent is named {name!r}", nearest=nearest(name, agents))
        for field, name in named
        if name not in entry.agents
    ]
    prompts = sorted(path.name for path in (folder / "prompts").glob("*.md"))
    for name, agent in entry.agents.items():
        if agent.prompt not in prompts:
            fault = f"prompts/{agent.prompt} does not exist"
            field = f"agents.{name}.prompt"
            faults.append(PackFault(file="pack.yaml", field=field, fault=fault, nearest=nearest(agent.prompt, prompts)))
    return faults


def _partials(folder: Path) -> dict[str, str]:
    """Text shared by the prompts: `prompts/_style.md` is the variable `style`."""
    return {path.stem[1:]: path.read_text(encoding="utf-8").strip() for path in sorted((folder / "prompts").glob("_*.md"))}


def _from_tools(fault: ToolFault) -> PackFault:
    near = nearest(fault.wrong, fault.choices) if fault.wrong else None
    return PackFault(file=fault.file, field=fault.field, fault=fault.fault, nearest=near)


def _agent(name: str, entry: _AgentEntry, folder: Path, code: PackTools) -> PackAgent:
    settings: dict[str, Any] | None = {str(key): value for key, value in entry.model_settings.items()} or None
    return PackAgent(
        name=name,
        spec=AgentSpec(name=name, description=entry.description, model=entry.model, model_settings=settings),
        prompt=folder / "prompts" / entry.prompt,
        model=entry.model,
        deps_type=code.deps[name],
        tools=tuple(code.functions[tool] for tool in entry.tools),
        when_failing=entry.when_failing,
        priority=entry.priority,
    )
