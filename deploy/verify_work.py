"""An artifact that is being verified: what is at hand, and what was found so far. Torch-free."""

from dataclasses import dataclass, field
from pathlib import Path

from deploy.artifact import Manifest
from deploy.photos import Photos
from deploy.reference import Reference
from deploy.runtime import Detector
from deploy.verify_record import Flip, Status, VerifyCheck
from distill.task import Task, task_of_labels

UNTRUSTED = "the files are not those of the manifest, or it is not signed with the key given"
_TRUST = ("digests", "signature")


@dataclass
class Work:
    """An artifact under examination, and what was found so far."""

    folder: Path
    manifest: Manifest
    threads: int
    against: Reference | None
    photos: Photos | None
    public_key: Path | str | None = None
    detectors: dict[str, Detector] = field(default_factory=dict)
    checks: list[VerifyCheck] = field(default_factory=list)
    flips: list[Flip] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def task(self) -> Task:
        """What the artifact answers."""
        return task_of_labels(self.manifest.task, self.manifest.labels)

    @property
    def trusted(self) -> bool:
        """Whether digests and signature, the first things checked, are right."""
        return not any(check.status == "failed" for check in self.checks if check.name in _TRUST)

    def note(self, name: str, status: Status, reason: str) -> None:
        """Keep the outcome of a check."""
        self.checks.append(VerifyCheck(name=name, status=status, reason=reason))

    def judge(self, name: str, problems: list[str], fine: str) -> None:
        """Keep the outcome of a check that fails if there are problems; ``fine`` is said if there are none."""
        self.note(name, "failed" if problems else "ok", "; ".join(problems) or fine)
