"""The tools of the four specialists, each a typed async function on the store's state."""

from __future__ import annotations

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import EquipmentDeps, OperationsDeps, SafetyDeps, TrainingDeps
from assistant.packs.qsr.tools.allergens import look_up_allergens
from assistant.packs.qsr.tools.certifications import get_certifications, list_expiring_certifications, record_certification
from assistant.packs.qsr.tools.checklists import complete_checklist_item, get_checklist
from assistant.packs.qsr.tools.compliance import complete_compliance_item, get_compliance_status
from assistant.packs.qsr.tools.diagnosis import continue_diagnosis, finish_diagnosis, show_diagnosis, start_diagnosis
from assistant.packs.qsr.tools.emergencies import get_emergency_steps
from assistant.packs.qsr.tools.evaluations import add_coaching_note, get_evaluation, list_coaching_notes, record_evaluation
from assistant.packs.qsr.tools.guests import list_complaints, list_quality_checks, log_complaint, record_quality_check
from assistant.packs.qsr.tools.incidents import list_incidents, log_incident, update_incident
from assistant.packs.qsr.tools.learning import complete_module, get_learning_progress, list_learning_paths
from assistant.packs.qsr.tools.machines import get_machine, list_machines
from assistant.packs.qsr.tools.maintenance import list_maintenance, record_maintenance
from assistant.packs.qsr.tools.onboarding import complete_onboarding_task, create_onboarding_plan, get_onboarding_status
from assistant.packs.qsr.tools.parts import find_part, list_low_parts
from assistant.packs.qsr.tools.performance import get_store_performance
from assistant.packs.qsr.tools.quizzes import answer_quiz, list_quiz_scores, record_quiz_score, start_quiz
from assistant.packs.qsr.tools.shifts import add_shift, list_shifts, swap_shift
from assistant.packs.qsr.tools.stock import get_stock, list_low_stock, list_orders, place_order, record_stock_count
from assistant.packs.qsr.tools.temperatures import list_temperatures, log_temperature
from assistant.packs.qsr.tools.tickets import create_service_ticket, list_service_tickets

AGENT_DEPS: dict[str, type[TurnDeps]] = {
    "equipment": EquipmentDeps,
    "safety": SafetyDeps,
    "operations": OperationsDeps,
    "training": TrainingDeps,
}

__all__ = [
    "AGENT_DEPS",
    "add_coaching_note",
    "add_shift",
    "answer_quiz",
    "complete_checklist_item",
    "complete_compliance_item",
    "complete_module",
    "complete_onboarding_task",
    "continue_diagnosis",
    "create_onboarding_plan",
    "create_service_ticket",
    "find_part",
    "finish_diagnosis",
    "get_certifications",
    "get_checklist",
    "get_compliance_status",
    "get_emergency_steps",
    "get_evaluation",
    "get_learning_progress",
    "get_machine",
    "get_onboarding_status",
    "get_stock",
    "get_store_performance",
    "list_coaching_notes",
    "list_complaints",
    "list_expiring_certifications",
    "list_incidents",
    "list_learning_paths",
    "list_low_parts",
    "list_low_stock",
    "list_machines",
    "list_maintenance",
    "list_orders",
    "list_quality_checks",
    "list_quiz_scores",
    "list_service_tickets",
    "list_shifts",
    "list_temperatures",
    "log_complaint",
    "log_incident",
    "log_temperature",
    "look_up_allergens",
    "place_order",
    "record_certification",
    "record_evaluation",
    "record_maintenance",
    "record_quality_check",
    "record_quiz_score",
    "record_stock_count",
    "show_diagnosis",
    "start_diagnosis",
    "start_quiz",
    "swap_shift",
    "update_incident",
]
