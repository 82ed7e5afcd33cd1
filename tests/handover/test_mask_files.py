"""Mask files written again: format, palette and all other pixels stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dubio import InputError, LabelClass, LabelSpace, read_mask
from dubio.handover.mask_files import rest_values, rewrite_mask

from ..toy import SPACE

LABEL = np.array([[0, 0, 1, 3], [2, 2, 1, 3]], np.uint8)
WANTED = np.array([[0, 1, 1, 3], [2, 2, 0, 3]], np.uint8)
STORED = np.where(LABEL == 3, 255, LABEL).astype(np.uint8)
PALETTE = [v for k in range(256) for v in (k, 255 - k, (7 * k) % 256)]


def save_palette(path):
    image = Image.fromarray(STORED, "P")
    image.putpalette(PALETTE)
    image.save(path, transparency=3)


def save_tiff(path):
    Image.fromarray(STORED).save(path, compression="tiff_deflate", tiffinfo={33550: (0.5, 0.5, 0.0)})


def save_colours(path):
    Image.fromarray(SPACE.palette[LABEL]).save(path)


def save_npz(path):
    np.savez_compressed(path, labels=STORED.astype(np.int16)[None])


WRITERS = {
    "grey.png": lambda p: Image.fromarray(STORED).save(p),
    "deep.png": lambda p: Image.fromarray(STORED.astype(np.uint16)).save(p),
    "palette.png": save_palette,
    "colours.png": save_colours,
    "grey.bmp": lambda p: Image.fromarray(STORED).save(p),
    "packed.tif": save_tiff,
    "array.npy": lambda p: np.save(p, STORED.astype(np.int32)),
    "array.npz": save_npz,
    "map.pgm": lambda p: Image.fromarray(STORED).save(p),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_keeps_its_ways(tmp_path, name):
    source = tmp_path / "in" / name
    source.parent.mkdir()
    WRITERS[name](source)
    before = source.read_bytes()
    done = rewrite_mask(source, tmp_path / "out/deep" / name, WANTED, SPACE)
    assert done.name == name
    assert source.read_bytes() == before
    assert np.array_equal(read_mask(done, SPACE), WANTED)
    if done.suffix in (".npy", ".npz"):
        old, new = np.load(source), np.load(done)
        if done.suffix == ".npz":
            assert list(old) == list(new)
            old, new = old["labels"], new["labels"]
        assert (old.dtype, old.shape) == (new.dtype, new.shape)
        return
    with Image.open(source) as old, Image.open(done) as new:
        assert (old.mode, old.format, old.size) == (new.mode, new.format, new.size)
        same = LABEL == WANTED
        assert np.array_equal(np.array(old)[same], np.array(new)[same])
        if old.mode == "P":
            assert old.getpalette() == new.getpalette()
            assert new.info["transparency"] == old.info["transparency"]
        if old.format == "TIFF":
            assert new.tag_v2[33550] == (0.5, 0.5, 0.0)
            assert new.info["compression"] == "tiff_adobe_deflate"


def test_a_palette_read_by_its_colours_keeps_its_numbers(tmp_path):
    colours = [SPACE.palette[k].tolist() for k in (2, 0, 3, 1)]
    image = Image.fromarray(np.array([1, 3, 0, 2], np.uint8)[LABEL], "P")
    image.putpalette([v for c in colours for v in c])
    image.save(tmp_path / "a.png")
    done = rewrite_mask(tmp_path / "a.png", tmp_path / "b.png", WANTED, SPACE, "rgb")
    with Image.open(done) as new:
        assert new.mode == "P"
        assert np.array_equal(np.array(new), np.array([1, 3, 0, 2], np.uint8)[WANTED])


def test_what_no_format_can_hold_becomes_a_png(tmp_path):
    # a bilevel mask has no room for a third class
    two = replace(SPACE, void=(255,))
    Image.fromarray(np.array([[0, 1]], bool)).save(tmp_path / "a.tif")
    done = rewrite_mask(tmp_path / "a.tif", tmp_path / "o/a.tif", np.array([[2, 1]], np.uint8), two)
    assert done.name == "a.png"
    assert read_mask(done, two).tolist() == [[2, 1]]
    assert not (tmp_path / "o/a.tif").exists()


def test_all_the_rest_is_written_as_the_masks_do(tmp_path):
    cells = LabelSpace("cells", (LabelClass(0, "ground", (0, 0, 0)), LabelClass(1, "cell", (9, 9, 9))), ())
    Image.fromarray(np.array([[0, 255, 255]], np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((1, 3), np.uint8)).save(tmp_path / "b.png")
    rest = rest_values([tmp_path / "b.png", tmp_path / "a.png"], cells, "nonzero")
    assert rest == {1: 255}
    wanted = np.array([[0, 1, 1]], np.uint8)
    done = rewrite_mask(tmp_path / "b.png", tmp_path / "c.png", wanted, cells, "nonzero", rest=rest)
    assert np.array(Image.open(done)).tolist() == [[0, 255, 255]]


def test_originals_and_classes_without_a_value_are_safe(tmp_path):
    Image.fromarray(STORED).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="is the original"):
        rewrite_mask(tmp_path / "a.png", tmp_path / "a.png", WANTED, SPACE)
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:30])
    with pytest.raises(InputError, match=r"broken\.png"):
        rewrite_mask(tmp_path / "broken.png", tmp_path / "o.png", WANTED, SPACE)
