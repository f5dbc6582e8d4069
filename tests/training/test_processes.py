"""Two processes on the CPU, as torchrun starts them on two GPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trd.cli import main
from trd.config import load_recipe
from trd.evidence.reverse_distillation.training.sampling import EpochShuffle, ShareOfBatches
from trd.stored import WEIGHTS
from trd.training.fit import fit_class
from trd.types import ClassFolder

SETTINGS = [
    "frame.size=64",
    "student.blocks=[1, 1, 1]",
    "training.epochs=2",
    "training.batch_size=6",
    "precision=fp32",
    "scoring.stand_ins=false",
]


@pytest.mark.parametrize(("count", "size", "processes"), [(12, 4, 2), (13, 4, 2), (13, 5, 3), (7, 4, 4)])
def test_processes_share_every_batch(count: int, size: int, processes: int) -> None:
    sampler = EpochShuffle(count, seed=1)
    whole = list(ShareOfBatches(sampler, size))
    assert [index for batch in whole for index in batch] == list(sampler)
    shares = [list(ShareOfBatches(sampler, size, process, processes)) for process in range(processes)]
    for batch, *parts in zip(whole, *shares, strict=True):  # as many steps everywhere, or they would wait forever
        assert all(parts)
        assert set().union(*parts) == set(batch)
        if len(batch) >= processes:
            assert [index for part in parts for index in part] == batch


def test_two_processes_train_what_one_trains_in_two_halves(drawn: Path, tmp_path: Path) -> None:
    """`training.accumulate` puts the same halves of a batch through the network one after the other."""
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("-m", "trd", "train", "--data", drawn, "--out", tmp_path / "two", "--device", "cpu"),
            *("--recipe", "lite-residual", *options),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("I-AUROC") <= 2  # a line and the table's heading: only the first process reports
    run = json.loads((tmp_path / "two/run.json").read_text("utf-8"))
    assert run["processes"] == 2
    assert run["progress"]["biscuit"]["training"]["state"] == "done"

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as above: another number sums in another order
    halves = load_recipe("lite-residual", [*SETTINGS, "training.accumulate=2"])
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), halves, tmp_path / "one")
    torch.set_num_threads(threads)
    two, one = (load_file(tmp_path / folder / WEIGHTS) for folder in ("two/biscuit", "one"))
    for name, weights in one.items():
        if (
            name.startswith("reverse_distillation.network.students")
            and "running_" not in name
            and weights.is_floating_point()
        ):
            assert torch.equal(two[name], weights), name


def test_other_commands_refuse_several_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["trd", "recipes"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "only `trd train` works with several" in " ".join(capsys.readouterr().err.split())
