"""What the report reads: the run folder's JSON as it is. What is missing or broken is noted, never fatal."""

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError

REFERENCE_S = 0.458
REFERENCE_SIZE = 224
FILES = {
    "recipe": "recipe.json",
    "environment": "environment.json",
    "summary": "data/summary.json",
    "audit": "data/audit.json",
    "accuracy": "accuracy.json",
    "parity": "parity.json",
    "bench": "bench.json",
    "degradations": "degradations.json",
}
RUNTIMES = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
_PRECISIONS = ("fp32", "bf16", "int8")

Json = dict[str, Any]


def lookup(value: Any, *keys: str) -> Any:
    """Walk nested dicts; None as soon as a key is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def number(value: Any, *keys: str) -> float | None:
    """A finite number under ``keys``, else None."""
    found = lookup(value, *keys)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if math.isfinite(found) else None


def mapping(value: Any, *keys: str) -> Json:
    """A dict under ``keys``, else an empty one."""
    found = lookup(value, *keys)
    return found if isinstance(found, dict) else {}


def sequence(value: Any, *keys: str) -> list[Any]:
    """A list under ``keys``, else an empty one."""
    found = lookup(value, *keys)
    return found if isinstance(found, list) else []


def interval(value: Any, *keys: str) -> tuple[float, float] | None:
    """A ``[low, high]`` pair of finite numbers under ``keys``, else None."""
    pair = [number({"x": item}, "x") for item in sequence(value, *keys)]
    return (pair[0], pair[1]) if len(pair) == 2 and pair[0] is not None and pair[1] is not None else None


@dataclass(frozen=True)
class History:
    """One training's epochs. ``student`` is empty for the teacher, ``arm`` is distilled or control."""

    student: str
    seed: str
    arm: str
    epochs: list[Json]

    def curve(self, key: str) -> tuple[list[float], list[float]]:
        """Epoch numbers and values of ``key``, epochs without a value left out."""
        points = [(float(e.get("epoch", i + 1)), number(e, key)) for i, e in enumerate(self.epochs)]
        kept = [(x, y) for x, y in points if y is not None]
        return [x for x, _ in kept], [y for _, y in kept]


@dataclass(frozen=True)
class Contestant:
    """One row of the headline table: a model in one runtime and precision, with what was measured of it."""

    key: str
    student: str
    kind: str
    runtime: str
    precision: str
    accuracy: Json = field(compare=False)

    @property
    def bench_model(self) -> str:
        """The architecture's name in bench.json."""
        return self.student or "teacher"

    @property
    def label(self) -> str:
        """Short name for people: the control is the same network trained without the teacher."""
        return f"{self.student}, no distillation" if self.kind == "control" else self.student or "teacher"

    @property
    def short(self) -> str:
        """Name with precision and, for exported models, runtime: ``small_cnn INT8 in OpenVINO``."""
        where = "" if self.runtime == "torch" else f" in {RUNTIMES.get(self.runtime, self.runtime)}"
        known = self.kind in ("teacher", "control") and not where and self.precision == "fp32"
        return self.label if known else f"{self.label} {self.precision.upper()}{where}"


@dataclass(frozen=True)
class RunData:
    """Everything read from one run folder."""

    path: Path
    recipe: Json
    environment: Json
    summary: Json
    audit: Json
    accuracy: Json
    parity: Json
    bench: Json
    degradations: Json
    recipe_text: str
    histories: tuple[History, ...]
    problems: dict[str, str]

    @property
    def name(self) -> str:
        """The run's name: the recipe's, else the folder's."""
        given = self.recipe.get("name")
        return given if isinstance(given, str) and given else self.path.resolve().name

    @property
    def simulated(self) -> bool:
        """Whether any file says that the images were simulated."""
        flags = (self.accuracy.get("simulated"), self.summary.get("simulated"))
        layouts = (self.summary.get("layout"), lookup(self.recipe, "data", "layout"))
        return any(flag is True for flag in flags) or "simulated" in layouts

    @property
    def large(self) -> int:
        """The size at which every architecture is timed, like for like with ResNet18."""
        return int(number(self.recipe, "bench", "like_for_like_size") or REFERENCE_SIZE)

    @cached_property
    def rows(self) -> list[Json]:
        """All rows of bench.json."""
        return [row for row in sequence(self.bench, "rows") if isinstance(row, dict)]

    @cached_property
    def students(self) -> list[str]:
        """Names of the students, in the recipe's order, then as met."""
        models = mapping(self.accuracy, "models").values()
        met = [m.get("student") for m in models if isinstance(m, dict)] + [h.student for h in self.histories]
        names = [*mapping(self.recipe, "students"), *mapping(self.accuracy, "distillation"), *met]
        return list(dict.fromkeys(n for n in names if isinstance(n, str) and n))

    @cached_property
    def contestants(self) -> list[Contestant]:
        """Models whose accuracy was measured, then those that were only timed; teacher first."""
        found = [
            _contestant(str(key), entry)
            for key, entry in mapping(self.accuracy, "models").items()
            if isinstance(entry, dict)
        ]
        seen = {(c.bench_model, c.runtime, c.precision) for c in found}
        for row in self.rows:
            model, runtime, precision = (str(row.get(k, "")) for k in ("model", "runtime", "precision"))
            timed = row.get("status") == "ok" and row.get("scope") == "model"
            if timed and model in {"teacher", *self.students} and (model, runtime, precision) not in seen:
                seen.add((model, runtime, precision))
                kind = "teacher" if model == "teacher" else "student" if runtime == "torch" else "artifact"
                found.append(Contestant("", "" if kind == "teacher" else model, kind, runtime, precision, {}))
        return sorted(found, key=self._order)

    def _order(self, item: Contestant) -> tuple[int, int, int, int]:
        place = self.students.index(item.student) if item.student in self.students else -1
        runtime = list(RUNTIMES).index(item.runtime) if item.runtime in RUNTIMES else 9
        precision = _PRECISIONS.index(item.precision) if item.precision in _PRECISIONS else 9
        return place, 0 if item.kind == "control" else 1, runtime, precision

    def trained_size(self, model: str) -> int | None:
        """The input size the model was trained at; the recipe's, else the one size that is not 224."""
        size = number(self.recipe, "preprocess", "size")
        if size is not None:
            return int(size)
        sizes = {
            int(s) for row in self.rows if row.get("model") == model and (s := number(row, "input_size"))
        }
        return min(sizes - {self.large} or sizes, default=None)

    def row(
        self, *, model: str, runtime: str, precision: str, size: int | None, scope: str = "model"
    ) -> Json:
        """The bench row of one contestant at one size and scope (batch 1 first); empty if there is none."""
        wanted = {
            "model": model,
            "runtime": runtime,
            "precision": precision,
            "scope": scope,
            "input_size": size,
        }
        fits = [row for row in self.rows if all(row.get(k) == v for k, v in wanted.items())]
        return min(fits, key=lambda row: row.get("batch") != 1, default={})

    def timing(self, item: Contestant, *, size: int | None = None, scope: str = "model") -> Json:
        """The bench row of a contestant; ``size`` is the trained size unless given."""
        model = item.bench_model
        size = size or self.trained_size(model)
        return self.row(model=model, runtime=item.runtime, precision=item.precision, size=size, scope=scope)

    @cached_property
    def reference_row(self) -> Json:
        """ResNet18 in eager PyTorch FP32, timed in this run; empty if it was not."""
        rows = [
            r for r in self.rows if is_reference(r) and r.get("scope") == "model" and r.get("status") == "ok"
        ]
        eager = [r for r in rows if r.get("runtime") == "torch" and r.get("precision") == "fp32"]
        return next((r for r in eager if r.get("input_size") == self.large), eager[0] if eager else {})

    def sibling(self, item: Contestant, *, precision: str) -> Contestant | None:
        """The same artifact in another precision."""
        same = (
            c for c in self.contestants if c.accuracy and c.kind == "artifact" and c.precision == precision
        )
        return next((c for c in same if (c.student, c.runtime) == (item.student, item.runtime)), None)

    def find(self, *, student: str, kind: str) -> Contestant | None:
        """The measured contestant of that kind (teacher, student, control), if there."""
        same = (c for c in self.contestants if c.kind == kind and c.accuracy)
        return next((c for c in same if kind == "teacher" or c.student == student), None)


def is_reference(row: Json) -> bool:
    """Whether a bench row times the re-measured ResNet18 reference."""
    return "(reference)" in str(row.get("model", ""))


def is_control(generator: str, entry: Json) -> bool:
    """Whether a generator is the identity control, which changes nothing."""
    return generator == "identity" or entry.get("split") in ("control", ["control"])


def _contestant(key: str, entry: Json) -> Contestant:
    runtime, precision = (str(entry.get(k) or d) for k, d in (("runtime", "torch"), ("precision", "fp32")))
    student = entry.get("student")
    return Contestant(
        key,
        student if isinstance(student, str) else "",
        str(entry.get("kind", "")),
        runtime,
        precision,
        entry,
    )


def load_run(path: Path) -> RunData:
    """Read what a run folder holds.

    Raises:
        EdgeproofError: the folder does not exist.

    """
    if not path.is_dir():
        raise EdgeproofError(f"{path}: no such run folder; expected a folder that `edgeproof run` wrote")
    problems: dict[str, str] = {}
    parts = {key: _read(path / name, problems, name) for key, name in FILES.items()}
    text = path / "recipe.toml"
    recipe_text = text.read_text(encoding="utf-8", errors="replace") if text.is_file() else ""
    histories = tuple(_histories(path, problems))
    return RunData(path=path, recipe_text=recipe_text, histories=histories, problems=problems, **parts)


def _read(path: Path, problems: dict[str, str], name: str) -> Json:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems[name] = "not there: the run did not get that far"
    except (OSError, ValueError) as error:
        problems[name] = f"could not be read ({type(error).__name__})"
    else:
        if isinstance(value, dict):
            return value
        problems[name] = "could not be read (not a JSON object)"
    return {}


def _histories(path: Path, problems: dict[str, str]) -> list[History]:
    files = [path / "teacher/history.json", *sorted(path.glob("students/*/seed*/*/history.json"))]
    found = []
    for file in files:
        value = _read(file, problems, file.relative_to(path).as_posix())
        epochs = [epoch for epoch in sequence(value, "epochs") if isinstance(epoch, dict)]
        if epochs and file == files[0]:
            found.append(History("", "", "teacher", epochs))
        elif epochs:
            found.append(History(file.parts[-4], file.parts[-3].removeprefix("seed"), file.parts[-2], epochs))
    return found
