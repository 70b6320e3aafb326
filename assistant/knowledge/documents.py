"""Reads and checks knowledge documents: Markdown with front matter, one passage per `##` section."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from assistant.errors import AssistantError

_FENCE = "---"
_HEADING = "## "
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class KnowledgeError(AssistantError):
    """Every fault of a knowledge folder at once, one sentence each in `faults`."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class FrontMatter(BaseModel):
    """What stands between the two `---` lines. `id` is the file's name without `.md`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: _Text
    version: Annotated[int, Field(ge=1)]
    agents: Annotated[list[_Text], Field(min_length=1)]
    sources: Annotated[list[_Text], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Section:
    """`slug` identifies the section inside its document."""

    slug: str
    heading: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Document:
    front: FrontMatter
    sections: tuple[Section, ...]


def read_documents(folder: Path) -> list[Document]:
    """All documents of a folder in name order. Raises `KnowledgeError` with every fault of every file."""
    paths = sorted(folder.glob("*.md"))
    if not paths:
        raise KnowledgeError([f"{folder}: no *.md files; put knowledge documents there."])
    documents: list[Document] = []
    faults: list[str] = []
    for path in paths:
        document, found = _read(path)
        faults += [f"{path.name}: {fault}" for fault in found]
        if document is not None:
            documents.append(document)
    if faults:
        raise KnowledgeError(faults)
    return documents


def slug(heading: str) -> str:
    """Lower-case words of a heading joined by hyphens: `How long?` is `how-long`."""
    return _NOT_SLUG.sub("-", heading.casefold()).strip("-")


def _read(path: Path) -> tuple[Document | None, list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return None, [f"not readable ({error}); save it as UTF-8 text."]
    if not lines or lines[0].rstrip() != _FENCE or _FENCE not in (line.rstrip() for line in lines[1:]):
        return None, ["no front matter; start the file with `---`, the fields and `---`."]
    end = next(number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == _FENCE)
    front, faults = _front_matter("\n".join(lines[1:end]))
    sections, more = _sections(lines[end + 1 :], end + 2)
    faults += more
    if front is not None and front.id != path.stem:
        faults.append(f"id is {front.id!r}, expected {path.stem!r}; the id is the file's name without .md.")
    if front is None or faults:
        return None, faults
    return Document(front=front, sections=tuple(sections)), []


def _front_matter(text: str) -> tuple[FrontMatter | None, list[str]]:
    try:
        return FrontMatter.model_validate(yaml.safe_load(text)), []
    except yaml.YAMLError as error:
        return None, [f"the front matter is not YAML ({' '.join(str(error).split())}); write one `field: value` per line."]
    except ValidationError as error:
        return None, [
            f"front matter, {'.'.join(str(part) for part in item['loc']) or 'whole'}: {item['msg']}; correct the field."
            for item in error.errors()
        ]


def _sections(lines: Sequence[str], first: int) -> tuple[list[Section], list[str]]:
    """The sections of `lines`, the first of which has the number `first` in its file."""
    sections: list[Section] = []
    faults: list[str] = []
    starts = [index for index, line in enumerate(lines) if line.startswith(_HEADING)]
    before = lines[: starts[0]] if starts else lines
    stray = next((first + index for index, line in enumerate(before) if line.strip()), None)
    if stray is not None:
        faults.append(f"line {stray}: text before the first `## ` heading; put it under a heading.")
    if not starts:
        return [], [*faults, "no `## ` headings; every passage needs one."]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        heading = lines[start].removeprefix(_HEADING).strip()
        section = Section(slug=slug(heading), heading=heading, text="\n".join(lines[start + 1 : end]).strip())
        if not section.slug:
            faults.append(f"line {first + start}: the heading has no letters or digits; name what the passage tells.")
        elif section.slug in {item.slug for item in sections}:
            faults.append(f"line {first + start}: a second section `{heading}`; headings of a document differ.")
        if not section.text:
            faults.append(f"line {first + start}: the section `{heading}` is empty; write it or remove it.")
        sections.append(section)
    return sections, faults
