"""What was tried, and what survived, by area."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from distill import machine
from distill.files import write_json
from perf.attack.case import Case, Outcome


@dataclass
class Row:
    """One area."""

    tried: int = 0
    told: int = 0  # of these, inputs of which is known whether they were decoded
    decoded: int = 0
    survived: int = 0
    commands: int = 0
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    seconds: float = 0.0
    growth_mb: float = 0.0
    files: int = 0


@dataclass
class Table:
    """All areas, and what did not survive."""

    seed: int
    rows: dict[str, Row] = field(default_factory=dict)
    findings: list[dict[str, str]] = field(default_factory=list)
    seconds: int = 0

    def row(self, area: str) -> Row:
        """The area's row, begun where there is none."""
        return self.rows.setdefault(area, Row())

    def add(self, case: Case, outcome: Outcome) -> None:
        """Count a command and its inputs."""
        row = self.row(case.area)
        row.commands += 1
        row.tried += case.inputs
        row.survived += case.inputs - bool(outcome.finding)
        if outcome.decoded is not None:
            row.told, row.decoded = row.told + case.inputs, row.decoded + outcome.decoded
        row.slowest_s = max(row.slowest_s, outcome.seconds / case.inputs)
        row.peak_mb = max(row.peak_mb, outcome.peak_bytes / 1e6)
        row.seconds += outcome.seconds
        if outcome.finding:
            self.find(case.area, outcome.finding)

    def find(self, area: str, finding: str) -> None:
        """Note what is wrong."""
        self.findings.append({"area": area, "finding": finding})

    def tried(self, area: str) -> int:
        """Inputs so far."""
        return self.rows[area].tried if area in self.rows else 0

    def seconds_of(self, area: str) -> float:
        """How long its commands have taken."""
        return self.rows[area].seconds if area in self.rows else 0.0

    def text(self) -> str:
        """For a terminal and for Markdown."""
        lines = [
            "| area | tried | survived | decoded | commands | slowest, s | peak, MB |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, row in self.rows.items():
            cells = (
                f"{row.tried:,}",
                f"{row.survived:,}",
                f"{row.decoded / row.told:.0%}" if row.told else "",
                f"{row.commands:,}",
                f"{row.slowest_s:.1f}",
                f"{row.peak_mb:.0f}",
            )
            lines.append(f"| {name} | {' | '.join(cells)} |")
        tried, survived = (
            sum(getattr(row, key) for row in self.rows.values()) for key in ("tried", "survived")
        )
        return "\n".join([*lines, f"| **all** | {tried:,} | {survived:,} | | | | |"])

    def write(self, path: Path) -> None:
        """The record."""
        rows = {
            name: {key: round(value, 2) for key, value in vars(row).items()}
            for name, row in self.rows.items()
        }
        write_json(path, json.loads(json.dumps({
            "schema_version": 1, "machine": machine.describe(), "seed": self.seed, "seconds": self.seconds, "rows": rows,
            "findings": self.findings,
        })))  # fmt: skip
