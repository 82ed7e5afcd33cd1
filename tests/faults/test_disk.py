"""Full disks and places that can't be written to: one sentence, nothing half-written, and it goes on."""

from __future__ import annotations

import errno
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from dubio.core import files
from dubio.core.errors import InputError
from dubio.core.files import write_json, write_text, writing

from .conftest import assert_plain, audit_options, last_sentence, leftovers, run_cli


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", [0, 2, 6])
def test_the_disk_is_full_at_any_step(data, tmp_path, monkeypatch, step):
    """Renaming fails from the given file on; with space again the same command ends well."""
    out = tmp_path / "out"
    done = []

    def replace(source, target):
        if len(done) >= step:
            full()
        os.rename(source, target)
        done.append(target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", replace)
        sentence = last_sentence(run_cli(*audit_options(data, out, images=False)))
    assert "No space left on device" in sentence
    assert_plain(sentence)
    assert not leftovers(out)
    assert run_cli(*audit_options(data, out, images=False)).exit_code == 0
    assert pq.read_table(out / "findings.parquet").num_rows


@pytest.mark.parametrize(
    "writer",
    ["numpy.savez_compressed", "pyarrow.parquet.write_table", "PIL.Image.Image.save", "pathlib.Path.mkdir"],
)
def test_the_disk_is_full_in_a_library(data, tmp_path, monkeypatch, writer):
    monkeypatch.setattr(writer, full)
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out", images=False)))
    assert "No space left on device" in sentence
    assert_plain(sentence)
    assert not leftovers(tmp_path)


def test_a_file_grows_too_large(data, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, before[1]))
    try:
        result = run_cli(*audit_options(data, tmp_path / "out", images=False))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "(File too large); free space or choose another place" in last_sentence(result)
    assert not leftovers(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(data, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for place in (locked, locked / "run"):
        sentence = last_sentence(run_cli(*audit_options(data, place, images=False)))
        assert "Permission denied" in sentence
        assert_plain(sentence)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_that_is_always_full(tmp_path):
    (tmp_path / "table.npy").symlink_to("/dev/full")
    with pytest.raises(InputError, match="No space left"), writing(tmp_path / "a.npy"):
        np.save(tmp_path / "table.npy", np.arange(10_000))
    assert [p.name for p in tmp_path.iterdir()] == ["table.npy"]


def test_what_stood_there_before_stays(tmp_path):
    path = tmp_path / "table.npy"
    np.save(path, np.arange(5))
    before = path.read_bytes()

    def stop(fault):
        with writing(path) as part:
            part.write_bytes(b"half")
            fault()

    with pytest.raises(InputError, match="No space left"):
        stop(full)
    with pytest.raises(ZeroDivisionError):
        stop(lambda: 1 / 0)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["table.npy"]


@pytest.mark.parametrize("name", ["x" * 250 + ".txt", "ü" * 125 + ".txt", "x" * 255])
def test_names_as_long_as_the_system_allows(tmp_path, name):
    write_text(tmp_path / name, "whole")
    assert (tmp_path / name).read_text() == "whole"
    with pytest.raises(InputError, match="name too long"):
        write_text(tmp_path / (name + "yyyyyyyy"), "never")


def test_names_that_are_no_text_are_written_escaped(tmp_path):
    write_json(tmp_path / "a.json", {"name": os.fsdecode(b"caf\xe9")})
    assert files.read_json(tmp_path / "a.json") == {"name": os.fsdecode(b"caf\xe9")}
