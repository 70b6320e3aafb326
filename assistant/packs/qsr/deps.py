"""What the tools of each specialist get during a turn. One type per agent, so that a tool cannot be given to another agent unseen."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.deps import TurnDeps


@dataclass(frozen=True, kw_only=True)
class EquipmentDeps(TurnDeps):
    """Machines, parts, maintenance, service tickets."""


@dataclass(frozen=True, kw_only=True)
class SafetyDeps(TurnDeps):
    """Emergencies, incidents, temperatures, allergens, compliance."""


@dataclass(frozen=True, kw_only=True)
class OperationsDeps(TurnDeps):
    """Checklists, shifts, stock, guests, performance."""


@dataclass(frozen=True, kw_only=True)
class TrainingDeps(TurnDeps):
    """Onboarding, learning, certificates, quizzes, evaluations."""
