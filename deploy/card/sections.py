"""What a manifest alone says of an artifact, as sections of its card."""

import json
from collections.abc import Iterator

from deploy.artifact import Manifest
from deploy.card.evidence import Evidence
from distill.page.blocks import Block, Code, Points, Section, Table, Terms, Text, columns
from distill.page.formats import fixed, size

RUNTIMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
SIMULATED = "The images are simulated: nothing here says how the model does on real photographs."
_PROGRAMS = {
    "onnxruntime": ("C, ONNX Runtime", "detect_onnxruntime"),
    "openvino": ("C++, OpenVINO", "detect_openvino"),
}
_POLICIES = {
    "resize": "the whole image is squeezed into the model's size",
    "center_crop": "the middle of the image at its own resolution; smaller images are enlarged first",
    "tiles": "crops at the image's own resolution; the mean of their logits counts",
}


def all_sections(manifest: Manifest, evidence: Evidence) -> list[Section]:
    """Every section of a card, in reading order."""
    return [
        _uses(manifest),
        Section("Data", [_data(manifest), *evidence.data]),
        *evidence.sections,
        _threshold(manifest),
        _limits(manifest, evidence),
        _loading(manifest),
        _files(manifest),
        _making(manifest),
    ]


def title(manifest: Manifest) -> str:
    """Name, precision and runtimes."""
    return f"{manifest.name}, {manifest.precision.upper()} for {_runtimes(manifest)}"


def summary(manifest: Manifest) -> str:
    """What it is, in a paragraph."""
    side = manifest.preprocess.size
    binary = (
        "that the image is generated" if manifest.task == "binary" else f"of each class ({_labels(manifest)})"
    )
    warning = f" {SIMULATED}" if _simulated(manifest) else ""
    return (
        f"Takes 8-bit RGB pixels [1, {side}, {side}, 3] and gives the calibrated probability {binary}. "
        f"Normalization and calibration are part of the file.{warning}"
    )


def _runtimes(manifest: Manifest) -> str:
    return " and ".join(RUNTIMES[name] for name in manifest.runtimes)


def _labels(manifest: Manifest) -> str:
    return ", ".join(manifest.labels)


def _simulated(manifest: Manifest) -> bool:
    return manifest.data == "simulated"


def _uses(manifest: Manifest) -> Section:
    scope = [
        "Sorting images so that a person looks at the likely ones first, where a single wrong answer costs little.",
        "Comparing what small models keep of a large one's skill, and what they cost on a CPU.",
    ]
    beyond = [
        "Deciding anything about a person, or proving anything: the answer is a probability, and some are wrong.",
        "Images unlike those it learned from: other generators, other cameras, heavy compression, blur or scaling.",
        *(["Real photographs: it has seen none."] if _simulated(manifest) else []),
    ]
    return Section("Uses", [Text("In scope:"), Points(scope), Text("Out of scope:"), Points(beyond)])


def _data(manifest: Manifest) -> Text:
    if _simulated(manifest):
        return Text("Trained on simulated images, which edgeproof rendered.")
    if manifest.data == "unknown":
        return Text("The artifact does not say what it was trained on.")
    return Text(f"Trained on images that its maker calls “{manifest.data}”.")


def _threshold(manifest: Manifest) -> Section:
    found, spec = manifest.calibration, manifest.preprocess
    calibrated = (found.temperature, found.bias) != (1.0, 0.0)
    fitted = f"temperature {found.temperature:.4g}, bias {found.bias:.4g}; part of the file"
    verdict = (
        f"{manifest.labels[-1]} from {fixed(manifest.threshold)} on"
        if manifest.threshold is not None
        else "the likeliest class"
    )
    terms = (
        ("Verdict", verdict),
        ("Calibration", fitted if calibrated else "none: the probabilities are the network's own"),
        ("From image to input", f"{spec.policy}, {spec.interpolation}: {_POLICIES[spec.policy]}"),
        ("Mean and standard deviation", f"{_numbers(spec.mean)} and {_numbers(spec.std)}; part of the file"),
    )
    note = (
        "A probability holds for a mix of images like that on which it was calibrated: where generated images are rarer, "
        "fewer of the flagged ones are."
    )
    return Section("Threshold and calibration", [Terms(terms), Text(note)])


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _limits(manifest: Manifest, evidence: Evidence) -> Section:
    general = [
        *([SIMULATED] if _simulated(manifest) else []),
        "A detector sees the traces of the generators that it learned; new ones may leave none of them.",
    ]
    if manifest.precision == "int8":
        general.append(
            "INT8 may answer differently on another kind of CPU (without VNNI, sums can saturate): compare a few images there."
        )
    return Section("Limits", [Points(list(dict.fromkeys([*general, *evidence.limits])))])


def _loading(manifest: Manifest) -> Section:
    answer = "prediction.probability, prediction.label"
    python = (
        "from deploy import Detector  # pip install 'edgeproof[onnx]' or 'edgeproof[openvino]'; no torch\n\n"
        'detector = Detector.load("FOLDER")  # verifies every hash\n'
        f'prediction = detector.predict("photo.jpg")\n{answer}'
    )
    programs = [_PROGRAMS[name] for name in manifest.runtimes]
    commands = "\n".join(f"{program} FOLDER photo.ppm  # {language}" for language, program in programs)
    blocks: list[Block] = [
        Text("Python:"),
        Code(python),
        Text(
            "C and C++ (sources in deploy/embedded of edgeproof; its docs/embedded.md says how to build them):"
        ),
        Code(commands),
        Text("Anything else: give the file its input, and read its outputs."),
        Terms(tuple(_graph(manifest))),
    ]
    return Section("How to load it", blocks)


def _graph(manifest: Manifest) -> Iterator[tuple[str, str]]:
    given, scores = manifest.input, "[1]" if manifest.task == "binary" else f"[1, {len(manifest.labels)}]"
    yield "Input", f"{given.name}: {given.dtype}, {given.layout} {list(given.shape)}, {given.color}"
    yield "Outputs", f"{manifest.outputs[0]} and {manifest.outputs[1]}: float32 {scores}"
    yield "Labels", _labels(manifest)


def _files(manifest: Manifest) -> Section:
    rows = tuple((name, found.sha256, size(found.bytes)) for name, found in manifest.files.items())
    return Section("Files", [Table("Of the manifest", columns("File", "SHA-256", "Size", left=2), rows)])


def _making(manifest: Manifest) -> Section:
    return Section("How it was made", [Terms(tuple(_made(manifest)))])


def _made(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "Precision", manifest.precision.upper()
    if found := manifest.quantizer:
        kept = f"; {len(found.float_layers)} layers left in float" if found.float_layers else ""
        yield "Quantized by", f"{found.name} ({found.tool}), calibrated on {found.samples} images{kept}"
    if manifest.parent:
        yield "Checkpoint", f"SHA-256 {manifest.parent}"
    versions = {**manifest.versions, **(manifest.quantizer.versions if manifest.quantizer else {})}
    if versions:
        yield "Versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    yield from ((f"Noted: {name}", json.dumps(value)) for name, value in manifest.metrics.items())
