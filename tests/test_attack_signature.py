"""Signed artifacts: who vouches for one, and what is refused where nobody does."""

import json
import shutil
import stat
import subprocess
from pathlib import Path

import httpx
import minisign
import pytest
from cli import edgeproof, one_line_error
from service_fixture import jpeg, problem, running, settings_in

from deploy.artifact import read_manifest, write_manifest
from deploy.runtime import Detector
from deploy.shipped import shipped_artifacts
from deploy.signing import make_keys, sign_artifact
from distill.errors import EdgeproofError

TOOL = shutil.which("minisign")
PASSWORD = "correct horse"


def unasked() -> str:
    pytest.fail("a password was asked for")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a.key`` without a password, ``b.key`` with one, and their public keys."""
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder / "a.key", password=None)
    make_keys(folder / "b.key", password=PASSWORD)
    return folder


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(shipped_artifacts()["simulated-64"]["onnxruntime"], tmp_path / "models" / "mine")
    )


@pytest.fixture
def signed(artifact: Path, keys: Path) -> Path:
    sign_artifact(artifact, key=keys / "a.key", password=unasked)
    return artifact


def refusal(artifact: Path, key: Path | str) -> str:
    with pytest.raises(EdgeproofError) as told:
        Detector.load(artifact, public_key=key)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_what_is_signed_is_loaded_and_nothing_else(signed: Path, keys: Path) -> None:
    assert Detector.load(signed, public_key=keys / "a.pub").manifest.name
    assert Detector.load(signed, public_key=(keys / "a.pub").read_text().splitlines()[1]).manifest.name
    assert "does not vouch for" in refusal(signed, keys / "b.pub")
    write_manifest(
        signed, read_manifest(signed).model_copy(update={"threshold": 0.3})
    )  # with a digest that fits
    assert Detector.load(signed).manifest.threshold == 0.3
    assert "signature verification failed" in refusal(signed, keys / "a.pub")


def test_files_that_are_no_signatures_are_told(signed: Path, keys: Path) -> None:
    path = signed / "manifest.json.minisig"
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = {
        b"": "is no signature", b"\xff\n" * 4: "is no signature", b"a\n" * 10_000: "is longer than",
        b"".join([*lines[:2], b"trusted comment: x\n", lines[3]]): "signature verification failed",
        b"".join([lines[0], lines[3], *lines[2:]]): "is no signature",
    }  # fmt: skip
    for content, told in damaged.items():
        path.write_bytes(content)
        assert told in refusal(signed, keys / "a.pub")
    path.unlink()
    path.mkdir()
    assert "no regular file" in refusal(signed, keys / "a.pub")
    path.rmdir()
    assert "minisig: no such file" in refusal(signed, keys / "a.pub")
    assert "is no public key" in refusal(signed, "RW" + "A" * 54 if False else keys / "a.key")
    assert "no such file" in refusal(signed, "nowhere.pub")


def test_keys_are_for_their_owner_alone(tmp_path: Path, artifact: Path, keys: Path) -> None:
    key = tmp_path / "own.key"
    public = make_keys(key, password=None)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and public == tmp_path / "own.pub"
    with pytest.raises(EdgeproofError, match="is there already"):
        make_keys(key, password=None)
    key.chmod(0o640)
    with pytest.raises(EdgeproofError, match=r"others may read or write it.*chmod 600"):
        sign_artifact(artifact, key=key, password=unasked)
    with pytest.raises(EdgeproofError, match="is a public key's name"):
        make_keys(tmp_path / "x.pub", password=None)
    with pytest.raises(EdgeproofError, match="expected a secret one's"):
        make_keys(Path(), password=None)
    public.chmod(0o600)
    with pytest.raises(EdgeproofError, match="is no secret key"):
        sign_artifact(artifact, key=public, password=unasked)
    with pytest.raises(EdgeproofError, match="wrong password"):
        sign_artifact(artifact, key=keys / "b.key", password=lambda: "horse")
    (artifact / "model.onnx").write_bytes(b"other")
    with pytest.raises(EdgeproofError, match=r"model\.onnx: found"):
        sign_artifact(artifact, key=keys / "a.key", password=unasked)
    assert not (artifact / "manifest.json.minisig").exists()


def test_the_command_line_signs_checks_and_keeps_the_signature(
    artifact: Path, keys: Path, tmp_path: Path
) -> None:
    public = keys / "a.pub"
    (tmp_path / "a.jpg").write_bytes(jpeg())
    judged = ("predict", artifact, tmp_path / "a.jpg", "--public-key", public)
    assert "minisig: no such file" in one_line_error(edgeproof(*judged))
    assert edgeproof("sign", artifact, "--key", keys / "a.key").returncode == 0
    assert edgeproof(*judged).returncode == 0
    assert edgeproof("export", artifact, "--hub", tmp_path / "hub").returncode == 0
    assert Detector.load(tmp_path / "hub", public_key=public).manifest.name
    told = edgeproof("verify", artifact, "--json", "--public-key", public)
    outcomes = {check["name"]: check["status"] for check in json.loads(told.stdout)["checks"]}
    assert outcomes["signature"] == "ok"
    other = edgeproof("verify", artifact, "--json", "--public-key", keys / "b.pub")
    outcomes = {check["name"]: check["status"] for check in json.loads(other.stdout)["checks"]}
    assert other.returncode == 1 and outcomes["signature"] == "failed"
    assert outcomes["graph, onnxruntime"] == "not checked"
    unread = edgeproof("verify", artifact, "--json")
    assert {"signature": "not checked"}.items() <= {
        check["name"]: check["status"] for check in json.loads(unread.stdout)["checks"]
    }.items()


def test_what_is_exported_is_signed_at_once_or_refused_before_any_work(
    artifact: Path, keys: Path, tmp_path: Path
) -> None:
    done = edgeproof("export", artifact, "--hub", tmp_path / "hub", "--sign", keys / "a.key")
    assert done.returncode == 0 and read_manifest(tmp_path / "hub", public_key=keys / "a.pub"), done.stderr
    variant = edgeproof("export", artifact, "--batch", 2, "--out", tmp_path / "two", "--sign", keys / "a.key")
    assert "a variant is neither" in one_line_error(variant)
    other = edgeproof("export", artifact, "--hub", tmp_path / "two", "--sign", keys / "a.pub")
    assert "others may read" in one_line_error(other) and not (tmp_path / "two").exists()


def test_a_password_is_a_line_of_standard_input_where_there_is_no_terminal(
    artifact: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def asked(*arguments: object, line: str) -> "subprocess.CompletedProcess[str]":
        command = ["edgeproof", *map(str, arguments)]
        code = "import sys; sys.argv = sys.argv[1:]; from distill.__main__ import main; main()"
        import sys

        return subprocess.run(
            [sys.executable, "-c", code, *command], input=line, capture_output=True, text=True, check=False
        )

    made = asked("keygen", tmp_path / "c.key", line=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    done = asked("sign", artifact, "--key", tmp_path / "c.key", line=f"{PASSWORD}\n")
    assert done.returncode == 0 and read_manifest(artifact, public_key=tmp_path / "c.pub")
    assert PASSWORD not in made.stdout + made.stderr + done.stdout + done.stderr
    assert "no password was given" in one_line_error(
        asked("sign", artifact, "--key", tmp_path / "c.key", line="")
    )


def test_the_service_answers_with_signed_models_alone(signed: Path, keys: Path, tmp_path: Path) -> None:
    shutil.copytree(signed, signed.parent / "unsigned", ignore=shutil.ignore_patterns("*.minisig"))
    given = {"models": signed.parent, "public_key": str(keys / "a.pub")}
    from deploy.service.store import Store

    settings = settings_in(tmp_path, **given)
    Store(settings.database).set_active("mine")
    with running(settings) as client:
        listed: httpx.Response = client.get("/models")
        assert [row["name"] for row in listed.json()["models"]] == ["mine"]
        assert client.post("/predict", content=jpeg()).status_code == 200
        assert "minisig: no such file" in problem(client.post("/set", json={"model": "unsigned"}), 500)


@pytest.mark.skipif(TOOL is None, reason="minisign's own program is not installed")
def test_minisigns_own_program_reads_ours_and_the_other_way_round(
    artifact: Path, keys: Path, tmp_path: Path
) -> None:
    manifest = artifact / "manifest.json"
    sign_artifact(artifact, key=keys / "b.key", password=lambda: PASSWORD)
    subprocess.run([str(TOOL), "-Vm", manifest, "-p", keys / "b.pub"], check=True, capture_output=True)
    subprocess.run([str(TOOL), "-Sm", manifest, "-s", keys / "a.key"], check=True, capture_output=True)
    assert read_manifest(artifact, public_key=keys / "a.pub")
    made = [str(TOOL), "-GW", "-p", str(tmp_path / "t.pub"), "-s", str(tmp_path / "t.key")]
    subprocess.run(made, check=True, capture_output=True)
    sign_artifact(artifact, key=tmp_path / "t.key", password=unasked)
    assert read_manifest(artifact, public_key=tmp_path / "t.pub")


def test_the_library_is_the_one_that_is_meant() -> None:
    assert hasattr(minisign, "KeyPair"), "another package has this name too"
