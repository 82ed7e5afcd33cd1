"""One bad file of every kind: among sound ones it is left out and named; alone it ends the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..toy import write_toy
from . import makers
from .conftest import assert_plain, audit_options, examine, last_sentence, leftovers, quarantine, run_cli

# fault -> words of the sentence that the user reads
LABELS = {
    "truncated": "truncated", "header_only": "truncated", "empty": "it is empty", "text": "no known picture",
    "flipped_bits": "check sum", "array_in_png": "no known picture", "huge_png": "178 million pixels",
    "jpeg": "is a JPEG", "pickle": "no known picture", "unknown_value": "[77]", "sixteen_bits": "[40000]",
    "float_tiff": "float32", "unknown_colours": "(1, 2, 3) on 100 pixels", "photo": "colours",
    "other_size": "60 x 50", "one_pixel": "1 x 1", "one_row": "1 x 96",
}  # fmt: skip
SCORES = {
    "truncated": "truncated", "header_only": "truncated", "empty": "it is empty", "text": "no NPY file",
    "picture_in_npy": "no NPY file", "pickled": "Python objects", "bare_pickle": "no NPY file",
    "huge_npy": "truncated", "two_axes": "shape (72, 96)", "four_axes": "(2, 3, 72, 96)",
    "five_axes": "(1, 1, 3, 72, 96)", "one_axis": "(20736,)", "scalar": "shape ()",
    "axes_swapped": "96 x 72", "zero_size": "(3, 0, 96)", "other_proportions": "50 x 96",
    "one_pixel": "too coarse", "one_row": "1 x 96", "a_channel_less": "2 channels",
    "many_channels": "6 channels", "integers": "int32", "complex": "complex64", "words": "shape (2,)",
    "dates": "datetime64", "records": "f4", "some_nan": "NaN", "all_nan": "NaN", "some_inf": "infinite",
    "minus_inf": "infinite", "all_inf": "infinite",
}  # fmt: skip
IMAGES = {
    "truncated": "truncated", "header_only": "truncated", "empty": "it is empty", "text": "no known picture",
    "flipped_bits": "check sum", "array_in_png": "no known picture", "huge_png": "178 million pixels",
    "pickle": "no known picture", "other_size": "60 x 50", "one_pixel": "1 x 1",
}  # fmt: skip
FAULTS = {
    **{("images", name): (makers.IMAGES[name], words) for name, words in IMAGES.items()},
    **{("labels", name): (makers.LABELS[name], words) for name, words in LABELS.items()},
    **{("scores", name): (makers.SCORES[name], words) for name, words in SCORES.items()},
}
SOUND = 8
SUFFIX = {"labels": ".png", "scores": ".npy", "images": ".png"}


def test_every_fault_is_in_the_table():
    assert set(LABELS) == set(makers.LABELS)
    assert set(SCORES) == set(makers.SCORES)
    assert set(IMAGES) == set(makers.IMAGES)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A data set in which every fault has an image of its own, between sound ones, and its audit."""
    root = tmp_path_factory.mktemp("hospital")
    write_toy(root / "toy", 6)
    data = root / "data"
    for part in SUFFIX:
        (data / part).mkdir(parents=True)
    shutil.copy(root / "toy/toy.toml", data)
    patient = {key: f"p{number:03d}" for number, key in enumerate(FAULTS)}
    for number, image_id in enumerate([*patient.values(), *(f"sound{n}" for n in range(SOUND))]):
        for folder, suffix in SUFFIX.items():
            source = root / f"toy/{folder}/im_{number % 6:03d}.a{suffix}"
            shutil.copy(source, data / folder / (image_id + suffix))
    for (part, name), image_id in patient.items():
        FAULTS[part, name][0](data / part / (image_id + SUFFIX[part]))
    result = run_cli(*audit_options(data, root / "out"))
    return result, root / "out", patient


@pytest.mark.parametrize(("part", "name"), list(FAULTS), ids=map("-".join, FAULTS))
def test_among_sound_files_it_is_left_out_and_named(hospital, part, name):
    _, out, patient = hospital
    reason = quarantine(out)[patient[part, name]]
    assert_plain(reason)
    assert patient[part, name] in reason.partition(": ")[0], "names the file"
    assert FAULTS[part, name][1] in reason


def test_the_sound_ones_are_audited(hospital):
    result, out, patient = hospital
    assert result.exit_code == 0, result.output
    assert set(quarantine(out)) == set(patient.values())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["images"] == SOUND
    assert summary["quarantined"] == len(FAULTS)
    assert not leftovers(out)


def test_five_are_shown_and_all_counted(hospital):
    result, _, _ = hospital
    assert result.output.count("left out p") == 5
    assert f"{len(FAULTS)} images were left out; see " in result.output
    assert "quarantine.json" in result.output


def test_no_pickle_was_loaded(hospital):
    assert hospital[0].exit_code == 0
    assert not Path("pickle-was-loaded").exists()


@pytest.mark.parametrize(("part", "name"), list(FAULTS), ids=map("-".join, FAULTS))
def test_nothing_else_left_ends_with_one_sentence(data, tmp_path, part, name):
    files = sorted((data / part).iterdir())
    for other in sorted((data / "labels").iterdir())[2:]:
        other.unlink()
    for path in files[:2]:
        FAULTS[part, name][0](path)
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out")))
    assert_plain(sentence)
    assert "im_00" in sentence
    assert not leftovers(tmp_path)


def test_strict_stops_at_the_first(data, tmp_path):
    makers.truncate(data / "labels/im_003.a.png")
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out", "--strict")))
    assert "labels/im_003.a.png" in sentence
    assert_plain(sentence)


def softmax_files(data, change=None, at=()):
    for number, path in enumerate(sorted((data / "scores").iterdir())):
        scores = makers.softmax(np.load(path))
        np.save(path, change(scores) if change and (number in at or not at) else scores)


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize(
    "change",
    [lambda p: 3 * p, lambda p: p / 2, lambda p: np.log(p + 1e-9)],
    ids=["tripled", "halved", "logits"],
)
def test_one_file_that_holds_no_probabilities(data, tmp_path, change, at):
    softmax_files(data, change, (at,))
    found, said = examine(data, tmp_path / "out")
    assert any("scores are probabilities" in text for text in said), "one odd file doesn't sway the others"
    assert list(found.quarantine) == [f"im_{at:03d}.a"]
    assert "no probabilities" in found.quarantine[f"im_{at:03d}.a"]


def test_one_file_of_probabilities_among_logits(data, tmp_path):
    path = data / "scores/im_003.a.npy"
    np.save(path, makers.softmax(np.load(path)))
    found, said = examine(data, tmp_path / "out")
    assert any("scores are logits" in text for text in said)
    assert "holds probabilities" in found.quarantine["im_003.a"]


@pytest.mark.parametrize(
    ("prepare", "options", "words"),
    [
        (lambda d: None, ("--scores-kind", "probabilities"), "no probabilities"),
        (lambda d: softmax_files(d, lambda p: p / 2), (), "sigmoid"),
        (lambda d: softmax_files(d, lambda p: 0 * p), (), "sum to 0"),
        (lambda d: None, ("--scores-layout", "hwc"), "96 channels for 3 classes"),
    ],
    ids=["logits declared as probabilities", "sigmoid", "zeros", "wrong layout"],
)
def test_wrongly_declared_scores(data, tmp_path, prepare, options, words):
    prepare(data)
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out", *options)))
    assert words in sentence
    assert_plain(sentence)


def test_half_and_half_is_refused(data, tmp_path):
    softmax_files(data, lambda p: np.log(p + 1e-9), (0, 1, 2))
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out")))
    assert "holds logits, but" in sentence


def turned(path):
    """The same picture, stored turned, with the EXIF tag that says so."""
    with Image.open(path) as image:
        exif = Image.Exif()
        exif[274] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".jpg"), exif=exif.tobytes())
    path.unlink()


def cmyk(path):
    with Image.open(path) as image:
        image.convert("CMYK").save(path.with_suffix(".jpg"))
    path.unlink()


def deep(path):
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(path)


def test_unusual_pictures_are_no_faults(data, tmp_path):
    for number, change in enumerate((turned, cmyk, deep)):
        change(data / f"images/im_{number:03d}.a.png")
    found, _ = examine(data, tmp_path / "out")
    assert len(found.works) == 6
    assert not found.quarantine


def test_labels_without_anything(data, tmp_path):
    void = Image.fromarray(np.full((72, 96), 255, np.uint8))
    void.save(data / "labels/im_003.a.png")
    assert not examine(data, tmp_path / "one")[0].quarantine
    for path in (data / "labels").iterdir():
        void.save(path)
    assert run_cli(*audit_options(data, tmp_path / "all", "--json")).exit_code == 0


def test_mended_files_leave_the_quarantine(data, tmp_path):
    path = data / "labels/im_003.a.png"
    sound = path.read_bytes()
    makers.truncate(path)
    run_cli(*audit_options(data, tmp_path / "out"))
    assert (tmp_path / "out/quarantine.json").exists()
    path.write_bytes(sound)
    assert not examine(data, tmp_path / "out")[0].quarantine
    assert not (tmp_path / "out/quarantine.json").exists()
