"""A stopped run goes on where it was: same findings, nothing half-written, nothing foreign taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from dubio.core.files import write_json
from dubio.core.run import Run
from dubio.errors.store import is_whole

from ..toy import write_toy
from . import makers
from .conftest import assert_plain, audit_options, examine, last_sentence, leftovers, run_cli

# The pictures' and the page's paths don't depend on the folder; neither does any column.
TABLES = ("findings.parquet", "regions.parquet")
SHARDS = 4  # of 16 images
# A shell's background jobs ignore Ctrl-C, and so would the command if the tests ran as one.
START = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("dubio", run_name="__main__")
"""


def tables(out):
    return [pq.read_table(out / name) for name in TABLES]


def parts(out):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.glob("parts/*/*") if p.is_file()}


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Images for four shards, and the audit that nothing stopped."""
    root = tmp_path_factory.mktemp("long")
    write_toy(root / "data", 60)
    makers.truncate(root / "data/labels/im_020.a.png")
    assert run_cli(*audit_options(root / "data", root / "out", images=False)).exit_code == 0
    return root / "data", tables(root / "out")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_stopped_in_the_middle(long, tmp_path, sign):
    data, unbroken = long
    out = tmp_path / "out"
    options = map(str, audit_options(data, out, "--workers", "1", images=False))
    process = subprocess.Popen([sys.executable, "-c", START, *options], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("parts/*/0*.npz")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sign)
    said = process.communicate(timeout=60)[1]
    first = parts(out)
    assert len(list(out.glob("parts/*/0*.npz"))) < SHARDS, "stopped before the end"
    assert not (out / "findings.parquet").exists()
    assert json.loads((out / "run.json").read_text())["status"] == "running"
    if sign == signal.SIGINT:
        assert process.returncode == 130
        assert "dubio: stopped; the same command takes up where it left off" in said
        assert "Traceback" not in said
        assert not leftovers(out)
    assert run_cli(*audit_options(data, out, images=False)).exit_code == 0
    assert all(one.equals(other) for one, other in zip(tables(out), unbroken, strict=True))
    done = parts(out)
    kept = [p for p in first if p.suffix == ".npz" and ".part" not in p.name]
    assert kept
    assert all(done[p] == first[p] for p in kept), "finished shards are taken over"
    assert not leftovers(out)


def contents(found):
    """What a pass over the images gives on to the finder."""
    regions = [repr(pq.read_table(path).to_pydict()) for path in found.tables]
    return [(w.image_id, w.places.x.tobytes(), w.confusion.tobytes()) for w in found.works], regions


@pytest.fixture
def finished(data, tmp_path):
    makers.truncate(data / "labels/im_004.a.png")
    found, _ = examine(data, tmp_path / "out", images=False)
    assert len(found.works) == 5
    return data, tmp_path / "out", found


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def one_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("suffix", "fault"),
    [
        (suffix, fault)
        for suffix in (".npz", ".parquet", ".bad.json")
        for fault in (makers.truncate, makers.empty, makers.text, zeros, one_bit)
        # A changed letter of a sentence shows in no check sum.
        if (suffix, fault) != (".bad.json", one_bit)
    ],
)
def test_damaged_shards_are_made_anew(finished, suffix, fault):
    data, out, before = finished
    (shard,) = out.glob("parts/*/*.npz")
    damaged = shard.with_suffix(suffix)
    content, expected = damaged.read_bytes(), contents(before)
    fault(damaged)
    assert not is_whole(shard)
    found, said = examine(data, out, images=False)
    assert said[-1] == "00000.npz of an earlier run is damaged; its images are examined again"
    assert contents(found) == expected
    assert found.quarantine == before.quarantine
    assert is_whole(shard)
    assert suffix == ".npz" or damaged.read_bytes() == content


def test_a_missing_half_of_a_shard_is_made_anew(finished):
    data, out, before = finished
    (table,) = out.glob("parts/*/*.parquet")
    expected = contents(before)
    table.unlink()
    assert contents(examine(data, out, images=False)[0]) == expected


def touch(path):
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda d: touch(d / "labels/im_003.a.png"), {}),
        (lambda d: touch(d / "scores/im_003.a.npy"), {}),
        (lambda d: (d / "labels/im_003.a.png").unlink(), {}),
        (lambda d: (d / "toy.toml").write_text((d / "toy.toml").read_text().replace("wall", "house")), {}),
        (lambda d: None, {"min_size": 7}),
        (lambda d: None, {"seed": 1}),
    ],
    ids=["label", "scores", "fewer", "label space", "option", "seed"],
)
def test_a_change_invalidates_what_depends_on_it(finished, change, options):
    data, out, before = finished
    change(data)
    found, said = examine(data, out, images=False, **options)
    assert not set(found.shards) & set(before.shards), "none is taken over"
    assert not any("damaged" in text for text in said)


def test_another_list_of_the_same_work_takes_it_over(finished):
    data, out, _ = finished
    before = parts(out)
    assert len(examine(data, out, images=False, min_probability=0.5)[0].works) == 5
    assert parts(out) == before


HOLD = """
import sys, time
from dubio.core.run import Run
Run(sys.argv[1], "audit", {})
run = Run(sys.argv[1], "audit", {})
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_two_runs_at_once_in_one_folder(data, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        record = (out / "run.json").read_bytes()
        sentence = last_sentence(run_cli(*audit_options(data, out, images=False)))
        assert f"is in use by another dubio (process {process.pid})" in sentence
        assert_plain(sentence)
        assert (out / "run.json").read_bytes() == record, "the other's record is left alone"
    finally:
        process.kill()
        process.communicate()
    assert (out / ".lock").exists()
    assert len(examine(data, out, images=False)[0].works) == 6, "a dead process blocks nobody"


def test_a_finished_run_lets_go(tmp_path):
    run = Run(tmp_path / "out", "audit", {})
    run.finish()
    code = "import sys; from dubio.core.run import Run; Run(sys.argv[1], 'audit', {})"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False).returncode == 0


def test_the_helpers_of_a_training_are_not_shut_out(tmp_path, monkeypatch):
    """Lightning starts the same command once per device."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    Run(tmp_path / "out", "train", {})
    assert not (tmp_path / "out/.lock").exists()


def test_what_a_killed_process_left_is_removed(tmp_path):
    out = tmp_path / "out"
    (out / "parts/images-0").mkdir(parents=True)
    write_json(out / "run.json", {"command": "audit"})
    left = [out / ".run.123.part.json", out / "parts/images-0/.00001.123.part.npz"]
    mine = [out / "my.part.json", out / "parts/.notes.partial.txt"]
    for path in left + mine:
        path.write_text("half")
    Run(out, "audit", {})
    assert not any(p.exists() for p in left)
    assert all(p.exists() for p in mine)


def test_killed_before_there_was_a_record(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").write_text("123")
    (out / ".run.123.part.json").write_text('{"comm')
    Run(out, "audit", {})
    assert sorted(p.name for p in out.iterdir()) == [".lock", "run.json"]


def test_interrupted_while_it_is_reading(data, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("dubio.errors.audit.read_mask", interrupt)
    result = run_cli(*audit_options(data, tmp_path / "out", images=False))
    assert result.exit_code == 130
    assert "takes up where it left off" in result.output
    assert not leftovers(tmp_path)


def test_memory_runs_out(data, tmp_path, monkeypatch):
    def exhaust(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("dubio.errors.audit.make_view", exhaust)
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out", images=False)))
    assert "not enough memory; use fewer --workers" in sentence
    assert not leftovers(tmp_path)
