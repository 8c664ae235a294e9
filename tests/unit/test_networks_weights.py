"""Files of weights: what is stored comes back, and what is missing, damaged or foreign is refused."""

import hashlib
import shutil
import subprocess

import pytest
import torch
from torch import nn

from course_utils.assets import AssetError
from course_utils.networks import load_into, save_weights


def net(seed=0, hidden=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, hidden), nn.BatchNorm1d(hidden), nn.Linear(hidden, 2))


def test_what_comes_back_is_the_float16_of_what_was_stored(tmp_path):
    source, target = net(1), net(2)
    source[1].num_batches_tracked += 5
    save_weights(source, tmp_path / "a.pt")
    load_into(target, tmp_path / "a.pt")
    for key, value in source.state_dict().items():
        back = target.state_dict()[key]
        assert back.dtype == value.dtype
        assert torch.equal(back, value.half().float() if value.is_floating_point() else value)
    assert source[0].weight.dtype == torch.float32


def test_sums_are_those_of_the_files_and_sorted(tmp_path):
    for name in ("b.pt", "a.pt", "b.pt"):
        save_weights(net(), tmp_path / name)
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert lines == [
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}" for name in ("a.pt", "b.pt")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SHA256SUMS", "a.pt", "b.pt"]


def test_the_same_weights_are_the_same_bytes(tmp_path):
    for name in ("a.pt", "another.pt"):
        save_weights(net(), tmp_path / name)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "another.pt").read_bytes()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this machine")
def test_sha256sum_agrees(tmp_path):
    save_weights(net(), tmp_path / "a.pt")
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), r"missing at .*retrain=True"),
        (damaged, r"damaged or not the file that was published.*retrain=True"),
        (lambda path: path.write_bytes(b""), "damaged or not the file"),
        (lambda path: (path.parent / "SHA256SUMS").unlink(), "not listed in"),
        (lambda path: save_weights(net(hidden=5), path), "belong to another network: 7 of .*'0.bias'"),
        (lambda path: save_weights(nn.Linear(3, 2), path), "belong to another network"),
    ],
)
def test_bad_files(tmp_path, spoil, says):
    path = tmp_path / "a.pt"
    save_weights(net(1), path)
    spoil(path)
    target = net(2)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    with pytest.raises(AssetError, match=says):
        load_into(target, path)
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_values_that_float16_cannot_hold(tmp_path, value):
    bad = net()
    with torch.no_grad():
        bad[0].bias[1] = value
    with pytest.raises(ValueError, match=r"0\.bias holds values that are not finite as float16"):
        save_weights(bad, tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())
