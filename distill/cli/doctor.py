"""``edgeproof doctor``: is this machine ready, and if not, what to do about it."""

import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from distill.cli.options import JsonOption
from distill.errors import EdgeproofError, cause

PACKAGES = ("teachers", "students", "distill", "deploy", "bench")
MIN_FREE_GIB = 5
_TRIED = "simulated-64"  # the smallest artifact that comes with the package
_TRAINING = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "safetensors",
    "onnx",
    "onnxscript",
    "scipy",
    "sklearn",
    "matplotlib",
    "filelock",
    "jinja2",
    "tomli_w",
    "psutil",
    "cpuinfo",
)
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "cpuinfo": "py-cpuinfo"}


def doctor(as_json: JsonOption = False) -> None:
    """Check this machine and installation, and say what to do about each problem."""
    findings = examine()
    print_findings(findings, as_json=as_json)
    if any(finding["status"] == "problem" for finding in findings):
        raise typer.Exit(2)


def examine() -> list[dict[str, Any]]:
    """Findings, each ``{"name", "status": "ok"|"warning"|"problem", "found", "advice"}``."""
    checks: tuple[Callable[[], dict[str, Any]], ...] = (
        _python, _one_place, _training_packages, _torch_pair, _runtimes, _quantizers, _instructions, _threads, _folder, _disk,
    )  # fmt: skip
    return [check() for check in checks]


def print_findings(findings: list[dict[str, Any]], *, as_json: bool) -> None:
    """For people, or for programs."""
    if as_json:
        print(json.dumps(findings, allow_nan=False))
        return
    for finding in findings:
        print(f"{finding['status']:<8} {finding['name']:<14} {finding['found']}")
        if finding["advice"]:
            print(f"{'':<23} → {finding['advice']}")


def _finding(name: str, found: str, *, status: str = "ok", advice: str = "") -> dict[str, Any]:
    return {"name": name, "status": status, "found": found, "advice": advice}


def _python() -> dict[str, Any]:
    return _finding("python", ".".join(map(str, sys.version_info[:3])))


def _one_place() -> dict[str, Any]:
    """The packages have generic names: another distribution's ``bench`` could hide ours."""
    places = {name: _folder_of(name) for name in PACKAGES}
    parents = {place.parent for place in places.values() if place}
    missing = [name for name, place in places.items() if place is None]
    if missing or len(parents) != 1:
        found = ", ".join(f"{name}: {place or 'missing'}" for name, place in places.items())
        advice = "another package hides ours: install edgeproof into a virtual environment of its own"
        return _finding("packages", found, status="problem", advice=advice)
    return _finding("packages", f"all five from {parents.pop()}")


def _folder_of(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        return None


def _training_packages() -> dict[str, Any]:
    missing = [name for name in _TRAINING if not _installed(name)]
    if missing:
        advice = "to train: pip install 'edgeproof[train]'; prediction does without"
        return _finding("training", f"missing: {', '.join(missing)}", status="warning", advice=advice)
    return _finding("training", ", ".join(f"{name} {_installed(name)}" for name in _TRAINING))


def _torch_pair() -> dict[str, Any]:
    """A torch from one place with a torchvision from another fails at import; what they say of themselves shows it at once."""
    torch, vision = _installed("torch"), _installed("torchvision")
    if not (torch and vision):
        return _finding("torch pair", "not installed", status="warning", advice="needed for training alone")
    wanted = _wanted_torch()
    pair = f"torch {torch}, torchvision {vision}"
    if (wanted and torch.partition("+")[0] != wanted) or torch.partition("+")[2] != vision.partition("+")[2]:
        advice = "install both from the same place, at versions that belong together: pip install -U torch torchvision"
        found = f"{pair}, which was built for torch {wanted or 'of the same kind'}"
        return _finding("torch pair", found, status="problem", advice=advice)
    return _finding("torch pair", pair)


def _wanted_torch() -> str:
    """The version of torch that the installed torchvision was built for; empty where it does not say."""
    for requirement in importlib.metadata.requires("torchvision") or ():
        found = re.fullmatch(r"torch\s*\(?==\s*([0-9.]+)\)?", requirement.partition(";")[0].strip())
        if found:
            return found[1]
    return ""


def _runtimes() -> dict[str, Any]:
    """Each installed runtime answers eight images with a model that comes with the package."""
    found = {name: _installed(name) for name in ("onnxruntime", "openvino")}
    text = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
    if not any(found.values()):
        advice = "pip install 'edgeproof[onnx]' or 'edgeproof[openvino]'"
        return _finding("runtimes", text, status="problem", advice=advice)
    wrong = [reason for name, version in found.items() if version and (reason := _wrong_answers(name))]
    if wrong:
        advice = "reinstall the runtime; if only INT8 answers differ, quantize on this kind of processor"
        return _finding("runtimes", f"{text}: {'; '.join(wrong)}", status="problem", advice=advice)
    return _finding("runtimes", f"{text}: self-test ok")


def _wrong_answers(runtime: str) -> str:
    """Why the shipped model does not answer here as it did where it was made; empty where it does."""
    from deploy.selftest import check_folder
    from deploy.shipped import find_artifact

    try:
        report = check_folder(find_artifact(_TRIED, runtime=runtime), runtime=runtime)
    except EdgeproofError as error:
        return f"{runtime}: {error}"
    return "" if report.status == "ok" else f"{runtime}: {report.reason}"


def _quantizers() -> dict[str, Any]:
    version = _installed("nncf")
    if not version:
        return _finding(
            "quantizers",
            "nncf missing",
            status="warning",
            advice="for OpenVINO INT8: pip install 'edgeproof[quantize]'",
        )
    return _finding("quantizers", f"nncf {version}")


def _instructions() -> dict[str, Any]:
    from distill import machine

    name, flags = machine.cpu_identity()
    found = machine.Processor(cpu_model=name, isa_flags=flags, cores=None, threads=machine.usable_threads())
    if not flags:
        advice = "expect INT8 to gain most where the processor has integer dot products"
        return _finding("processor", f"{name}: instructions unknown", status="warning", advice=advice)
    if not found.has_int8_dot:
        advice = "expect INT8 to gain about 1.3-2x over FP32 here, against 2-7x with VNNI or AMX"
        return _finding("processor", f"{name}: no VNNI, no AMX", status="warning", advice=advice)
    return _finding("processor", f"{name}: INT8 dot products{', bf16' if found.has_bf16 else ''}")


def _threads() -> dict[str, Any]:
    from distill import machine

    usable, wish = machine.usable_threads(), os.environ.get("OMP_NUM_THREADS")
    if wish and wish.isdigit() and int(wish) > usable:
        advice = f"OMP_NUM_THREADS is more than the {usable} usable cores: unset it"
        return _finding(
            "threads", f"{usable} usable, OMP_NUM_THREADS={wish}", status="warning", advice=advice
        )
    return _finding("threads", f"{usable} usable" + (f", OMP_NUM_THREADS={wish}" if wish else ""))


def _folder() -> dict[str, Any]:
    here = Path.cwd()
    for folder in (here, Path(tempfile.gettempdir())):
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            advice = "go to a folder that you may write to, or set TMPDIR"
            return _finding("folders", f"{folder}: {cause(error)}", status="problem", advice=advice)
    return _finding("folders", f"{here} and {tempfile.gettempdir()} are writable")


def _disk() -> dict[str, Any]:
    import shutil

    free = shutil.disk_usage(Path.cwd()).free / 2**30
    if free < MIN_FREE_GIB:
        return _finding(
            "disk", f"{free:.1f} GiB free", status="warning", advice=f"a run wants up to {MIN_FREE_GIB} GiB"
        )
    return _finding("disk", f"{free:.0f} GiB free")
