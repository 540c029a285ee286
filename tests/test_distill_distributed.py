"""Two real processes train together on sharded images: every image once an epoch, and one set of weights.

They are started here, or by a ``torchrun`` for each, as on two machines.
"""

import collections
import io
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from distill.data.pixels import PixelSource
from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.methods.ground_truth import GroundTruth
from distill.preprocess import PreprocessSpec
from distill.recipe import Schedule, TrainingSettings
from distill.task import BINARY
from distill.training.batches import BatchDataset
from distill.training.distributed import processes
from distill.training.fit import TrainingData, fit
from distill.training.history import History
from students.output import ModelOutput

SPEC = PreprocessSpec(size=16)
COUNT, EPOCHS = 23, 2  # odd: two processes cannot share it evenly
AVERAGED = {"ema": 0.5, "frozen_epochs": 1}


class Net(nn.Module):
    feature_channels: dict[str, int] = {}

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, images):
        return ModelOutput(logits=self.head(images.mean((2, 3))).squeeze(1), features={})


class WritesDown(BatchDataset):
    """Notes which samples this process was asked for."""

    def __init__(self, pixels, folder):
        super().__init__(pixels)
        self.folder = folder

    def __getitem__(self, keys):
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        with (self.folder / f"rank{rank}.txt").open("a") as file:
            file.writelines(f"{index}\n" for index, _, _ in keys)
        return super().__getitem__(keys)


def shards(root, *, count, brightest=255):
    """Images in tars of four, generated ones brighter, read in place."""
    samples = []
    for start in range(0, count, 4):
        name = f"train-{start // 4:06d}.tar"
        with tarfile.open(root / name, "w") as tar:
            for i in range(start, min(start + 4, count)):
                buffer = io.BytesIO()
                Image.new("RGB", (16, 16), (brightest * (i % 2), i, 50)).save(buffer, "PNG")
                member = tarfile.TarInfo(f"{i}.png")
                member.size = len(buffer.getvalue())
                offset = tar.offset + 512
                tar.addfile(member, io.BytesIO(buffer.getvalue()))
                samples.append(Sample(path=f"{name}/{i}.png", label=i % 2, span=(offset, member.size)))
    return PixelSource(root=root, samples=tuple(samples), spec=SPEC, cache=None)


def train(folder, root, *, devices, learning_rate=2e-2, progress=None, images=WritesDown):
    torch.manual_seed(0)
    pixels = shards(root, count=COUNT)
    model = Net()
    history = fit(
        model,
        task=BINARY,
        objectives=[GroundTruth()],
        data=TrainingData(train=images(pixels, folder), valid=BatchDataset(pixels), spec=SPEC),
        schedule=Schedule(epochs=EPOCHS, batch_size=4, learning_rate=learning_rate, **AVERAGED),
        settings=TrainingSettings(precision="fp32", accelerator="cpu", threads=1, devices=devices),
        seed=0,
        folder=folder,
        sidecar={},
        progress=progress,
    )
    return model, history


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A training of two processes, and what it told."""
    folder, root, told = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("shards"), []
    model, history = train(folder, root, devices=2, progress=lambda *step: told.append(step))
    return folder, model, history, told


def test_each_image_once_an_epoch_in_one_of_the_processes(together):
    folder, _, _, _ = together
    parts = [(folder / f"rank{rank}.txt").read_text().split() for rank in (0, 1)]
    seen = collections.Counter(int(index) for part in parts for index in part)
    assert seen == dict.fromkeys(range(COUNT), EPOCHS)
    assert abs(len(parts[0]) - len(parts[1])) <= EPOCHS * 3, "each does half of the work"


def test_the_parent_gets_weights_history_and_progress(together):
    folder, model, history, told = together
    assert [entry.epoch for entry in history.epochs] == [1, 2]
    assert history == History.read(folder / "history.json")
    assert (folder / "weights.safetensors").is_file() and (folder / "last.safetensors").is_file()
    assert not (folder / "resume.safetensors").exists()
    torch.manual_seed(0)
    assert not torch.equal(model.head.weight, Net().head.weight), "the trained weights came back"
    assert told[-1] == (EPOCHS * 3, EPOCHS * 3)


def test_validation_covers_every_image_whichever_process_saw_it(together, tmp_path):
    """One image decides the AUC: it is the last one, in the second process's share."""
    _, model, history, _ = together
    pixels = shards(tmp_path, count=COUNT)
    model.eval()
    with torch.inference_mode():
        batch = BatchDataset(pixels)[[(i, 0, 0) for i in range(COUNT)]]
        from distill.evaluation.metrics import roc_auc
        from distill.training.normalize import normalize

        logits = model(normalize(batch.images, spec=SPEC)).logits
    assert history.epochs[-1].valid_score == pytest.approx(roc_auc(batch.labels.numpy(), logits.numpy()))
    loss = nn.functional.binary_cross_entropy_with_logits(logits, batch.labels)
    assert history.epochs[-1].valid_loss == pytest.approx(float(loss), rel=1e-5)


def test_an_error_in_a_process_is_one_line_here(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(EdgeproofError) as caught, np.errstate(all="ignore"):
        train(tmp_path / "run", tmp_path, devices=2, learning_rate=1e38)
    assert "expected finite numbers" in str(caught.value) and "\n" not in str(caught.value)


# torchrun

SCRIPT = """
import os
import signal
import sys
from pathlib import Path
from test_distill_distributed import WritesDown, train
from distill.errors import EdgeproofError
from distill.training.sampler import rank_and_processes

folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])


class Dies(WritesDown):
    def __getitem__(self, keys):
        if rank == 1:  # and its torchrun: the machine is gone
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(keys)


def error_of(run, images):
    try:
        train(folder / run, folder, devices=1, images=images)
    except EdgeproofError as error:
        return f"{error}\\n"


model, history = train(folder / "run", folder, devices=1)
assert rank_and_processes() == (0, 1), "what follows a training is done whole in every process"
said = f"{[entry.epoch for entry in history.epochs]} {model.head.weight.flatten().tolist()}\\n"
(folder / f"said{rank}.txt").write_text(said + error_of(f"its-own-{rank}", WritesDown))
sys.exit(error_of("second", Dies))
"""


def torchrun(folder, *, node, port):
    """One machine of two, each with one process."""
    root = Path(__file__).parent
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(node),
               "--master-addr", "127.0.0.1", "--master-port", str(port), "--nproc-per-node", "1",
               folder / "script.py", folder]  # fmt: skip
    environment = {"PYTHONPATH": os.pathsep.join([str(root), str(root.parent)]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """What two machines left that trained together, until the second one died; and what the first one's torchrun said."""
    path = tmp_path_factory.mktemp("machines")
    (path / "script.py").write_text(SCRIPT)
    for run in ("run", "second"):
        (path / run).mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [torchrun(path, node=node, port=port) for node in (0, 1)]
    try:
        said = [one.communicate(timeout=300)[1] for one in both]
    finally:
        for one in both:
            one.kill()
    return path, [one.returncode for one in both], said[0]


def test_two_machines_train_as_two_processes_of_one_do(machines, together):
    path, _, said = machines
    assert (path / "said1.txt").is_file(), said
    first, second = ((path / f"said{rank}.txt").read_text().splitlines()[0] for rank in (0, 1))
    assert first == second and first.startswith("[1, 2] [")
    parts = [(path / "run" / f"rank{rank}.txt").read_text().split() for rank in (0, 1)]
    assert collections.Counter(int(i) for part in parts for i in part) == dict.fromkeys(range(COUNT), EPOCHS)
    for name in ("weights", "last"):
        one, other = (load_file(folder / f"{name}.safetensors") for folder in (path / "run", together[0]))
        assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_machines_that_share_no_folder_say_so_before_they_train(machines):
    path, _, _ = machines
    for rank in (0, 1):
        refusal = (path / f"said{rank}.txt").read_text().splitlines()[1]
        assert "not the same folder on" in refusal and f"its-own-{rank}" in refusal
        assert not list(path.glob("its-own-*/rank*.txt"))


def test_a_machine_that_dies_ends_the_other_with_one_line(machines):
    _, codes, said = machines
    assert codes[0] == 1 and codes[1] == -9
    told = [line for line in said.splitlines() if "is gone or silent" in line]
    assert len(told) == 1 and told[0].startswith("training: another of the processes"), said


def test_what_lightning_is_told_of_processes_that_torchrun_started(monkeypatch):
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("LOCAL_WORLD_SIZE", "2"), ("GROUP_WORLD_SIZE", "3")):
        monkeypatch.setenv(name, value)
    assert processes(1) == processes(2) == (2, 3, "ddp_find_unused_parameters_true")
    with pytest.raises(EdgeproofError) as caught:
        processes(4)
    assert str(caught.value) == (
        "training.devices: given 4, but torchrun started 2 on this machine, expected the same number"
    )


def test_what_lightning_is_told_otherwise():
    assert processes(1) == (1, 1, "auto")
    assert processes(4) == (4, 1, "ddp_spawn_find_unused_parameters_true")
