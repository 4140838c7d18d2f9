"""Files and folders appear whole or not at all, and what dead processes left of them goes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from prunebert.errors import BadInput
from prunebert.runs import files


@pytest.fixture(scope="module")
def dead():
    """The number of a process that is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_dead_processes_left_of_a_folder_is_removed(tmp_path, dead):
    (tmp_path / f".out.{dead}").mkdir()
    (tmp_path / f".out.{dead}/weights").write_text("half")
    kept = [f".out.{os.getppid()}", ".out.mine", f".other.{dead}"]
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / ".out.4194305").symlink_to(".out.mine")
    with files.new_folder(tmp_path / "out") as folder:
        (folder / "weights").write_text("whole")
    assert {p.name for p in tmp_path.iterdir()} == {"out", ".out.4194305", *kept}
    with pytest.raises(BadInput, match="exists and is not empty"), files.new_folder(tmp_path / "out"):
        pass


def test_a_link_is_replaced_and_its_target_kept(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "page.html").symlink_to("theirs")
    (tmp_path / f".page.html.{os.getpid()}").symlink_to("theirs")
    files.write(tmp_path, "page.html", b"ours")
    assert (tmp_path / "theirs").read_text() == "theirs" and (tmp_path / "page.html").read_text() == "ours"
    assert not (tmp_path / "page.html").is_symlink() and {p.name for p in tmp_path.iterdir()} == {"theirs", "page.html"}


@pytest.mark.parametrize("kind", ["bytes", "tensors"])
def test_a_file_is_replaced_and_never_written_over(tmp_path, monkeypatch, kind):
    """Who opened the old file reads the old one to its end. Only what is on the disk takes its place."""
    file, events = tmp_path / "checkpoint", []

    def write(number):
        content = torch.full((500,), float(number))
        if kind == "tensors":
            return files.write_tensors(file, {"x": content}, f"step {number}")
        return files.write(tmp_path, file.name, content.numpy().tobytes())

    def note(event, function):
        return lambda *arguments: (events.append(event), function(*arguments))[1]

    write(1)
    first = file.read_bytes()
    monkeypatch.setattr(os, "fsync", note("on the disk", os.fsync))
    monkeypatch.setattr(Path, "replace", note("in its place", Path.replace))
    with file.open("rb") as stream:
        begun = stream.read(10)
        write(2)
        assert begun + stream.read() == first != file.read_bytes()
    assert events == ["on the disk", "in its place"] and [p.name for p in tmp_path.iterdir()] == ["checkpoint"]
    second = file.read_bytes()
    with pytest.raises(KeyboardInterrupt), files.replacing(file) as partial:
        partial.write_bytes(second[:100])
        raise KeyboardInterrupt
    assert file.read_bytes() == second and [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("name", ["x" * 250, "語" * 85, os.fsdecode(b"caf\xe9")])
def test_names_as_long_as_the_system_takes(tmp_path, name):
    files.write(tmp_path, name, b"whole")
    with files.new_folder(tmp_path / "f" / name) as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / name).read_bytes() == b"whole" and os.listdir(tmp_path / "f" / name) == ["a"]


def test_an_error_names_the_file_and_leaves_nothing(tmp_path):
    def full():
        raise OSError(28, os.strerror(28))

    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError) as raised, files.replacing(tmp_path / "a") as partial:
        partial.write_text("half")
        full()
    assert (raised.value.errno, raised.value.filename) == (28, str(tmp_path / "a"))
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_tensors_below_a_folder_that_is_no_utf8(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    files.write_tensors(folder / "a.safetensors", {"x": torch.arange(3.0)}, "facts")
    tensors, facts = files.read_tensors(folder / "a.safetensors")
    assert tensors["x"].tolist() == [0, 1, 2] and facts == "facts"
    assert files.load_finite(folder / "a.safetensors")["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", [Exception, SafetensorError])
def test_a_full_disk_that_a_library_reports_in_its_own_way(tmp_path, kind):
    with pytest.raises(BadInput, match="to: No space left on device"), files.new_folder(tmp_path / "export"):
        raise kind("I/O error: No space left on device (os error 28)")
    with pytest.raises(kind, match="another fault"), files.new_folder(tmp_path / "export"):
        raise kind("another fault")
    assert not list(tmp_path.iterdir())


def test_others_may_read_what_the_umask_lets_them_read(tmp_path):
    """safetensors makes its files readable by their owner alone."""
    before = os.umask(0o022)
    try:
        files.write_tensors(tmp_path / "a.safetensors", {"x": torch.ones(2)})
        with files.new_folder(tmp_path / "out") as folder:
            (folder / "model.safetensors").write_bytes(b"x")
            (folder / "model.safetensors").chmod(0o600)
    finally:
        os.umask(before)
    for file in (tmp_path / "a.safetensors", tmp_path / "out/model.safetensors"):
        assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_tensors_of_less_than_single_precision_are_refused(tmp_path, dtype):
    safetensors.torch.save_file({"x": torch.ones(2).to(dtype), "n": torch.ones(2, dtype=torch.int8)}, tmp_path / "a")
    with pytest.raises(ValueError, match="less than single precision"):
        files.read_tensors(tmp_path / "a")
    files.write_tensors(tmp_path / "a", {"x": torch.ones(2), "n": torch.ones(2, dtype=torch.int8)})
    assert files.read_tensors(tmp_path / "a")[0]["n"].dtype == torch.int8
