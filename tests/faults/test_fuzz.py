"""Random damage to every kind of file: a reader gives a result or an ``InputError``, nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from dubio.core.run import Run
from dubio.data.classmap import load_class_map
from dubio.data.folders import open_folders
from dubio.data.images import image_size, read_image
from dubio.data.masks import detect_encoding
from dubio.data.predictions import open_predictions
from dubio.data.scores import read_scores
from dubio.data.spaces import load_space
from dubio.errors.audit import AuditOptions, collect
from dubio.errors.store import is_whole, load_work
from dubio.errors.verdicts import read_verdicts
from dubio.handover.audit_run import read_findings
from dubio.models.cardfile import read_card
from dubio.models.maps import read_maps, write_maps

from ..toy import SPACE, TOML, logits, scene
from .conftest import audit_options, run_cli
from .fuzzing import COMMON, FMT, VERDICTS, a_mask, survive

# Libraries warn of what they overlook; the command line keeps that from the user.
pytestmark = pytest.mark.filterwarnings("ignore")


class Files(dict):
    def __repr__(self):
        return "the files"


@pytest.fixture(scope="module")
def work(tmp_path_factory, sound):
    """A sound file of every kind: name -> bytes."""
    root = tmp_path_factory.mktemp("fuzz")
    label = np.where(scene(0) == 3, 255, scene(0)).astype(np.uint8)
    picture = Image.fromarray(np.stack([label] * 3, -1))
    scores = logits(scene(0), 0)
    for name in ("mask.png", "mask.tif", "mask.bmp", "mask.gif", "mask.webp"):
        Image.fromarray(label).save(root / name, **({"lossless": True} if "webp" in name else {}))
    paletted = Image.fromarray(label).convert("P")
    paletted.save(root / "palette.png")
    np.save(root / "mask.npy", label)
    np.savez_compressed(root / "mask.npz", label)
    picture.save(root / "photo.png")
    picture.save(root / "photo.jpg", exif=Image.Exif())
    picture.save(root / "photo.tif", compression="tiff_lzw")
    picture.save(root / "photo.webp")
    np.save(root / "scores.npy", scores)
    np.savez(root / "scores.npz", scores=scores)
    np.savez_compressed(root / "packed.npz", scores=scores)
    header = {"scores": {"dtype": "F32", "shape": list(scores.shape), "data_offsets": [0, scores.nbytes]}}
    text = json.dumps(header).encode()
    (root / "scores.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + scores.tobytes())
    (root / "verdicts.json").write_text(json.dumps(VERDICTS))
    (root / "space.toml").write_text(TOML)
    (root / "space.json").write_text(json.dumps(SPACE.to_dict()))
    (root / "map.toml").write_text('[map]\n"ground" = "wall"\n"box" = "void"\n')
    (root / "card.toml").write_text('scale = "0-255"\nmean = [1, 2, 3]\nsize = [64, 96]\n')
    zero = np.zeros(label.shape, np.float32)
    write_maps(root / "maps.png", scene(0), zero, zero, n_classes=3)
    result = run_cli(*audit_options(sound, root / "run", images=False))
    assert result.exit_code == 0, result.output
    (root / "findings.parquet").write_bytes((root / "run/findings.parquet").read_bytes())
    shard = next((root / "run").glob("parts/*/*.npz"))
    (root / "shard.npz").write_bytes(shard.read_bytes())
    (root / "shard.parquet").write_bytes(shard.with_suffix(".parquet").read_bytes())
    return Files((p.name, p.read_bytes()) for p in root.iterdir() if p.is_file())


def an_image(path):
    found = read_image(path)
    assert found.dtype == np.uint8
    assert found.shape[2] == 3


def a_score_file(path):
    found = read_scores(path, FMT)
    assert found.shape[0] == 3
    assert np.isfinite(found).all()


def a_shard(path):
    load_work(path, maps=True)


def a_map(path):
    load_class_map(path, SPACE, SPACE)


READERS = {
    **{name: a_mask for name in ("mask.png", "mask.tif", "mask.bmp", "mask.gif", "mask.webp", "palette.png",
                                 "mask.npy", "mask.npz")},
    **{name: an_image for name in ("photo.png", "photo.jpg", "photo.tif", "photo.webp")},
    **{name: a_score_file for name in ("scores.npy", "scores.npz", "packed.npz", "scores.safetensors")},
    "verdicts.json": read_verdicts,
    "space.toml": load_space,
    "space.json": load_space,
    "map.toml": a_map,
    "card.toml": read_card,
    "maps.png": read_maps,
    "findings.parquet": read_findings,
    "shard.npz": a_shard,
}  # fmt: skip

CUTS = st.floats(0, 1, exclude_max=True)
FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8)


@pytest.mark.parametrize("name", list(READERS))
@COMMON
@given(share=CUTS)
@example(share=0.0)
def test_truncated_anywhere(work, tmp_path, name, share):
    content = work[name]
    survive(READERS[name], tmp_path / name, content[: int(share * len(content))])


@pytest.mark.parametrize("name", list(READERS))
@COMMON
@given(flips=FLIPS)
def test_flipped_bits_anywhere(work, tmp_path, name, flips):
    content = bytearray(work[name])
    for place, bits in flips:
        # Headers are where damage does most: half of the flips go to the first bytes.
        content[int(place * (len(content) if bits % 2 else min(len(content), 300)))] ^= bits
    survive(READERS[name], tmp_path / name, bytes(content))


@pytest.mark.parametrize("name", list(READERS))
@COMMON
@given(junk=st.binary(max_size=300), start=st.integers(0, 40))
def test_random_bytes_behind_a_sound_start(work, tmp_path, name, junk, start):
    survive(READERS[name], tmp_path / name, work[name][:start] + junk)


@COMMON
@given(names=st.lists(st.sampled_from(list(READERS)), min_size=2, max_size=2, unique=True))
def test_one_kind_under_the_name_of_another(work, tmp_path, names):
    survive(READERS[names[0]], tmp_path / names[0], work[names[1]])


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "palette.png", "photo.jpg", "photo.tif"])
@COMMON
@given(flips=FLIPS)
def test_other_readers_of_pictures(work, tmp_path, name, flips):
    content = bytearray(work[name])
    for place, bits in flips:
        content[int(place * len(content))] ^= bits
    survive(image_size, tmp_path / name, bytes(content))
    survive(lambda p: detect_encoding([p], SPACE), tmp_path / name, bytes(content))


@COMMON
@given(share=CUTS, which=st.booleans())
def test_no_damaged_shard_passes_for_whole(work, tmp_path, share, which):
    for name in ("shard.npz", "shard.parquet"):
        (tmp_path / name).write_bytes(work[name])
    assert is_whole(tmp_path / "shard.npz")
    damaged = tmp_path / ("shard.npz" if which else "shard.parquet")
    content = bytearray(work[damaged.name])
    damaged.write_bytes(content[: int(share * len(content))])
    assert not is_whole(tmp_path / "shard.npz")


@settings(COMMON, max_examples=8)
@given(data=st.data())
def test_any_one_file_damaged_never_stops_the_others(sound, tmp_path, data):
    """The pass over the images with one file damaged at random: five or six images are examined."""
    part, suffix = data.draw(st.sampled_from([("labels", ".png"), ("scores", ".npy")]))
    number = data.draw(st.integers(0, 5))
    root = tmp_path / "data"
    for folder in ("labels", "scores"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for path in (sound / folder).iterdir():
            (root / folder / path.name).write_bytes(path.read_bytes())
    target = root / part / f"im_{number:03d}.a{suffix}"
    content = bytearray(target.read_bytes())
    for place, bits in data.draw(FLIPS):
        content[int(place * len(content))] ^= bits
    target.write_bytes(content[: int(len(content) * data.draw(st.sampled_from([1.0, 1.0, 0.7])))])
    dataset = open_folders(labels=root / "labels", space=SPACE)
    source = open_predictions(dataset, scores=root / "scores", kind="logits")
    found = collect(dataset, source, Run(tmp_path / "run", "audit", {}), AuditOptions(copies=1), workers=1)
    assert len(found.works) + len(found.quarantine) == 6
    assert set(found.quarantine) <= {f"im_{number:03d}.a"}


NETWORKS = """
import sys
from pathlib import Path
import numpy as np
from dubio.core.errors import InputError
from dubio.models.load import load_model
path, out = Path(sys.argv[1]), Path(sys.argv[2])
content, rng = path.read_bytes(), np.random.default_rng(0)
refused = 0
for n in range(60):
    data = bytearray(content)
    if n % 3 == 0:
        data = data[: int(rng.random() * len(data))]
    else:
        for place in rng.integers(0, len(data), 1 + n % 4):
            data[place] ^= int(rng.integers(1, 256))
    out.write_bytes(data)
    try:
        load_model(out, input_scale="0-1", device="cpu", threads=1)
    except InputError as error:
        assert "\\n" not in str(error), error
        refused += 1
print(refused)
"""


def test_damaged_networks(tmp_path):
    """In a process of its own: the library that reads them is compiled."""
    pytest.importorskip("onnx")
    from .test_networks import write_network

    path = write_network(tmp_path / "net.onnx")
    command = [sys.executable, "-c", NETWORKS, str(path), str(tmp_path / "other.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20


def test_no_pickle_was_loaded():
    assert not Path("pickle-was-loaded").exists()
