"""A variant's files, from its artifact's: rewritten, in ONNX Runtime's own format, or with FP16 weights."""

import contextlib
import io
import shutil
import warnings
from pathlib import Path

from deploy.artifact import MODEL_FILES, Manifest
from deploy.openvino_ir import openvino_core
from deploy.variants.changes import Changes, Format
from deploy.variants.graph import rewrite
from distill.errors import EdgeproofError
from distill.files import write_bytes, write_text
from distill.optional import require

OPERATORS = "required_operators.config"
FILES: dict[Format, tuple[str, ...]] = {
    "onnx": MODEL_FILES["onnxruntime"],
    "ort": ("model.ort", OPERATORS),
    "openvino": MODEL_FILES["openvino"],
}


def make_files(artifact: Path, manifest: Manifest, changes: Changes, *, out: Path) -> None:
    """Write the files of ``changes.format`` into ``out``; the first of them is the one to load.

    Raises:
        EdgeproofError: the artifact has no file to make them from, or one that cannot be changed so.
    """
    if changes.format == "openvino" and not changes.of_the_graph and "openvino" in manifest.runtimes:
        _halve(artifact / FILES["openvino"][0], out=out)
        return
    if "onnxruntime" not in manifest.runtimes:
        raise EdgeproofError(
            f"{artifact}: holds models for {', '.join(manifest.runtimes)}, expected model.onnx to make "
            f"{' and '.join(changes.described)} from"
        )
    onnx = require("onnx")
    model = onnx.load(artifact / FILES["onnx"][0])
    rewrite(model, changes)
    source = out / FILES["onnx"][0]
    write_bytes(source, model.SerializeToString())
    if changes.format == "onnx":
        return
    (_to_ort if changes.format == "ort" else _halve)(source, out=out)
    source.unlink()


def _halve(source: Path, *, out: Path) -> None:
    """Store the float weights in FP16; OpenVINO computes with them in the precision that it is asked for."""
    model = openvino_core().read_model(str(source))
    require("openvino").save_model(model, out / FILES["openvino"][0], compress_to_fp16=True)


def _to_ort(source: Path, *, out: Path) -> None:
    """Optimize now, as a minimal build cannot, and list the operators that are left."""
    require("onnxruntime")
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

    made = out / "ort"
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it prints what it does
        warnings.simplefilter("ignore", ResourceWarning)  # and leaves a file to the garbage collector
        convert_onnx_models_to_ort(source, output_dir=made, optimization_styles=[OptimizationStyle.Fixed])
    shutil.move(made / "model.ort", out / FILES["ort"][0])
    lines = (made / f"model.{OPERATORS}").read_text(encoding="utf-8").splitlines()
    operators = [
        line for line in lines if not line.startswith("#")
    ]  # its comments name this machine's folders
    write_text(
        out / OPERATORS, "\n".join(["# for ONNX Runtime's --include_ops_by_config", *operators]) + "\n"
    )
    shutil.rmtree(made)
