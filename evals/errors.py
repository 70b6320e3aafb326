"""Errors a person can act on; each class owns the exit code of the command that meets it.

AssayError
├── UsageError       4  a file, name or option the person gave is wrong
├── TargetError      3  the target cannot be reached or does not speak the contract
└── EvidenceError    3  a run folder is damaged or a disk is full: there is no verdict
"""

from __future__ import annotations


class AssayError(Exception):
    exit_code = 3


class UsageError(AssayError):
    exit_code = 4


class TargetError(AssayError):
    exit_code = 3


class EvidenceError(AssayError):
    exit_code = 3
