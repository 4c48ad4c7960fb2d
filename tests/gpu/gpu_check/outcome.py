"""Results of checks, as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

PASSED, FAILED, MET, MISSED, SKIPPED = "passed", "FAILED", "goal met", "goal missed", "not run"


class Unusable(Exception):
    """Something a check rests on does not work: a sentence for the user."""


@dataclass(frozen=True)
class Outcome:
    """One line of the table. A goal that is missed does not fail the run: it depends on the machine's balance."""

    name: str
    status: str
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, holds: bool, detail: str, **figures: object) -> Outcome:
        """Passed or failed."""
        return cls(name, PASSED if holds else FAILED, detail, figures)

    @classmethod
    def goal(cls, name: str, holds: bool, detail: str, **figures: object) -> Outcome:
        """Met or missed."""
        return cls(name, MET if holds else MISSED, detail, figures)

    @classmethod
    def failed(cls, name: str, detail: str) -> Outcome:
        """A check that could not be made although it applies."""
        return cls(name, FAILED, detail)

    @classmethod
    def skipped(cls, name: str, why: str) -> Outcome:
        """A check that does not apply here."""
        return cls(name, SKIPPED, why)


@dataclass
class Report:
    """All outcomes, and what they were seen on."""

    environment: dict[str, Any]
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True if no check failed."""
        return all(outcome.status != FAILED for outcome in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """The whole report."""
        outcomes = [asdict(outcome) for outcome in self.outcomes]
        return {"passed": self.passed, "environment": self.environment, "outcomes": outcomes}

    def table(self) -> str:
        """A Markdown table below the environment."""
        lines = [f"{name}: {value}" for name, value in self.environment.items()]
        rows = [("check", "result", "seen")]
        rows += [(outcome.name, outcome.status, outcome.detail.replace("|", "/")) for outcome in self.outcomes]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        rows.insert(1, tuple("-" * width for width in widths))
        cells = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join([*lines, "", *(f"| {line} |" for line in cells)])
