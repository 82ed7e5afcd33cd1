from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from dubio import InputError, LabelClass, LabelSpace
from dubio.data.masks import detect_encoding, read_mask, write_mask
from dubio.data.spaces import load_space

CITY = load_space("cityscapes")
MANY = LabelSpace(
    "many", tuple(LabelClass(k, f"c{k}", (k % 256, k // 256, 9)) for k in range(400)), void=(65535,)
)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 19)),
    st.sampled_from([None, "labelIds", "rgb"]),
)
def test_write_then_read_is_the_same(tmp_path_factory, indices, encoding):
    path = tmp_path_factory.mktemp("m") / "mask.png"
    write_mask(path, indices, CITY, encoding)
    back = read_mask(path, CITY, encoding)
    assert back.dtype == np.uint8
    assert np.array_equal(back, indices)


def test_sixteen_bits(tmp_path):
    indices = np.array([[0, 255, 399, 400]], np.uint16)
    write_mask(tmp_path / "m.png", indices, MANY)
    back = read_mask(tmp_path / "m.png", MANY)
    assert back.dtype == np.uint16
    assert np.array_equal(back, indices)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".npy", ".npz"])
def test_containers(tmp_path, suffix):
    stored = np.array([[0, 3, 18], [255, 1, 2]], np.uint8)
    path = tmp_path / f"m{suffix}"
    if suffix == ".npy":
        np.save(path, stored.astype(np.int64))
    elif suffix == ".npz":
        np.savez_compressed(path, mask=stored[None].astype(np.int16))
    else:
        Image.fromarray(stored).save(path)
    assert read_mask(path, CITY).tolist() == [[0, 3, 18], [19, 1, 2]]


def test_integer_modes(tmp_path):
    for mode, dtype in (("I;16", np.uint16), ("I", np.int32)):
        array = np.array([[0, 5]], dtype)
        path = tmp_path / f"{mode[0]}{dtype.__name__}.tif"
        Image.fromarray(array).save(path)
        assert read_mask(path, CITY).tolist() == [[0, 5]]


def test_palette_is_read_by_index_and_one_bit_as_classes(tmp_path):
    voc = load_space("voc")
    image = Image.fromarray(np.array([[0, 15, 255]], np.uint8), mode=None).convert("P")
    image = Image.new("P", (3, 1))
    image.putdata([0, 15, 255])
    image.putpalette([7, 7, 7] * 256)
    image.save(tmp_path / "p.png")
    assert read_mask(tmp_path / "p.png", voc).tolist() == [[0, 15, 21]]
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "b.png")
    assert read_mask(tmp_path / "b.png", load_space("nuclei")).tolist() == [[0, 1]]


def test_palette_whose_indices_are_no_ids_is_read_by_color(tmp_path):
    image = Image.new("P", (2, 1))
    image.putdata([40, 41])
    image.putpalette([0] * 120 + [128, 64, 128, 0, 0, 142])
    image.save(tmp_path / "p.png")
    assert read_mask(tmp_path / "p.png", CITY).tolist() == [[0, 13]]


def test_rgb_is_found_by_itself_and_grey_rgb_is_ids(tmp_path):
    colors = np.array([[[128, 64, 128], [0, 0, 142], [0, 0, 0], [111, 74, 0]]], np.uint8)
    Image.fromarray(colors).save(tmp_path / "c.png")
    assert read_mask(tmp_path / "c.png", CITY).tolist() == [[0, 13, 19, 19]]
    alpha = np.concatenate([colors, np.full((1, 4, 1), 9, np.uint8)], axis=2)
    Image.fromarray(alpha).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png", CITY, "rgb").tolist() == [[0, 13, 19, 19]]
    Image.fromarray(np.repeat(np.array([[[3], [255]]], np.uint8), 3, 2)).save(tmp_path / "g.png")
    assert read_mask(tmp_path / "g.png", CITY).tolist() == [[3, 19]]


def test_raw_carla_tags_in_the_red_channel(tmp_path):
    raw = np.array([[[1, 0, 0], [14, 0, 0], [0, 0, 0]]], np.uint8)
    Image.fromarray(raw).save(tmp_path / "c.png")
    assert read_mask(tmp_path / "c.png", load_space("carla")).tolist() == [[0, 13, 28]]
    assert read_mask(tmp_path / "c.png", load_space("carla-cityscapes")).tolist() == [[0, 13, 19]]


def test_a2d2_colors(tmp_path):
    colors = np.array([[[255, 0, 0], [128, 0, 0], [255, 0, 255], [72, 209, 204]]], np.uint8)
    Image.fromarray(colors).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png", load_space("a2d2"), "rgb").tolist() == [[13, 13, 0, 19]]
    names = load_space("a2d2-38").names
    assert [names[k] for k in read_mask(tmp_path / "a.png", load_space("a2d2-38"))[0]] == [
        "Car",
        "Car",
        "RD normal street",
        "Ego car",
    ]


def test_unknown_colors_are_listed_with_counts(tmp_path):
    Image.fromarray(np.full((2, 3, 3), (1, 2, 3), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(InputError, match=r"c\.png.*\(1, 2, 3\) on 6 pixels"):
        read_mask(tmp_path / "c.png", CITY)
    assert (read_mask(tmp_path / "c.png", CITY, unknown="void") == 19).all()


def test_ambiguous_colors_are_refused(tmp_path):
    Image.fromarray(np.full((1, 1, 3), (120, 120, 121), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(InputError, match="road and skyscraper"):
        read_mask(tmp_path / "c.png", load_space("ade20k"))


def test_unknown_values(tmp_path):
    Image.fromarray(np.array([[0, 77]], np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(InputError, match=r"m\.png.*77"):
        read_mask(tmp_path / "m.png", CITY)
    assert read_mask(tmp_path / "m.png", CITY, unknown="void").tolist() == [[0, 19]]


def test_bad_files(tmp_path):
    good = tmp_path / "good.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 19, (64, 64), dtype=np.uint8)).save(good)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:700])
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "lossy.jpg")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "lossy.png", format="JPEG")
    np.save(tmp_path / "deep.npy", np.zeros((3, 4, 5), np.uint8))
    np.save(tmp_path / "float.npy", np.zeros((4, 5)))
    np.save(tmp_path / "object.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    for name, fault in [
        ("cut.png", "can't be read"),
        ("empty.png", "can't be read"),
        ("lossy.jpg", "JPEG"),
        ("lossy.png", "JPEG"),
        ("deep.npy", "shape"),
        ("float.npy", "float64"),
        ("object.npy", "can't be read"),
        ("none.png", "doesn't exist"),
    ]:
        with pytest.raises(InputError, match=fault) as caught:
            read_mask(tmp_path / name, CITY)
        assert name in str(caught.value)


def test_write_refuses_what_would_not_come_back(tmp_path):
    nuclei = load_space("nuclei")
    with pytest.raises(InputError, match="can't store"):
        write_mask(tmp_path / "m.png", np.array([[0, 2]], np.uint8), nuclei, "nonzero")
    with pytest.raises(InputError, match="0 to 2"):
        write_mask(tmp_path / "m.png", np.array([[0, 3]], np.uint8), nuclei)
    with pytest.raises(InputError, match="PNG"):
        write_mask(tmp_path / "m.jpg", np.array([[0]], np.uint8), nuclei)
    with pytest.raises(InputError, match="no colour"):
        write_mask(tmp_path / "m.png", np.array([[21, 0]], np.uint8), _without_void_color(), "rgb")
    assert not list(tmp_path.iterdir())


def _without_void_color() -> LabelSpace:
    voc = load_space("voc")
    return LabelSpace("v", voc.classes, voc.void, {}, ())


def test_sbd_matlab_files(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "s.mat", {"GTcls": {"Segmentation": np.array([[0, 15]], np.uint8), "Boundaries": 0}})
    assert read_mask(tmp_path / "s.mat", load_space("voc")).tolist() == [[0, 15]]


def test_rgb_of_two_megapixels_is_fast(tmp_path):
    rng = np.random.default_rng(0)
    indices = np.kron(rng.integers(0, 20, (32, 64), dtype=np.uint8), np.ones((32, 32), np.uint8))
    write_mask(tmp_path / "m.png", indices, CITY, "rgb")
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        assert read_mask(tmp_path / "m.png", CITY, "rgb").shape == (1024, 2048)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.15


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        ([7, 11, 26], "labelIds", "labelIds"),
        ([0, 13, 255], None, "class ids"),
        ([7, 8, 11], None, "'labelIds' would fit too"),
    ],
)
def test_detect_encoding_of_cityscapes(tmp_path, values, expected, said):
    Image.fromarray(np.array([values], np.uint8)).save(tmp_path / "a.png")
    encoding, sentence = detect_encoding([tmp_path / "a.png"], CITY)
    assert encoding == expected
    assert said in sentence


def test_file_names_decide_between_encodings_that_fit(tmp_path):
    path = tmp_path / "a_gtFine_labelIds.png"
    Image.fromarray(np.array([[7, 8, 11]], np.uint8)).save(path)
    encoding, sentence = detect_encoding([path], CITY)
    assert encoding == "labelIds"
    assert "file names" in sentence


def test_detect_two_classes(tmp_path):
    nuclei = load_space("nuclei")
    for values, expected in (([0, 1], None), ([0, 57], "nonzero"), ([0, 255], "nonzero")):
        Image.fromarray(np.array([values], np.uint8)).save(tmp_path / "a.png")
        assert detect_encoding([tmp_path / "a.png"], nuclei)[0] == expected


def test_detect_colors_and_nothing(tmp_path):
    write_mask(tmp_path / "a.png", np.array([[0, 4]], np.uint8), load_space("comma10k"), "rgb")
    assert detect_encoding([tmp_path / "a.png"], load_space("comma10k"))[0] == "rgb"
    with pytest.raises(InputError, match="on 1 pixels"):
        detect_encoding([tmp_path / "a.png"], CITY)
    with pytest.raises(InputError, match="no masks"):
        detect_encoding([], CITY)


def test_real_masks(shared):
    camvid = load_space("camvid")
    for path in sorted((shared / "data/camvid/labels/val").glob("*.png"))[::20]:
        mask = read_mask(path, camvid)
        assert mask.shape == (360, 480)
        assert len(np.unique(mask)) > 5
    total = np.zeros(6, int)
    for path in sorted((shared / "data/comma10k/masks").glob("*.png")):
        total += np.bincount(read_mask(path, load_space("comma10k")).ravel(), minlength=6)
    assert (total[:5] > 0).all()
    assert total[5] == 0
    nuclei = load_space("nuclei")
    paths = sorted((shared / "data/nuclei/labels_original").glob("*.png"))
    assert detect_encoding(paths, nuclei)[0] == "nonzero"
    space, encoding, _ = infer(paths)
    assert (len(space), encoding) == (2, "nonzero")


def infer(paths):
    from dubio.data.spaces import infer_space

    return infer_space(paths)


def test_other_shapes_of_files(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "plain.mat", {"labels": np.array([[3, 4]], np.uint8)})
    assert read_mask(tmp_path / "plain.mat", CITY).tolist() == [[3, 4]]
    savemat(tmp_path / "two.mat", {"a": np.eye(2), "b": np.eye(2)})
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 2), int), b=np.zeros((2, 2), int))
    Image.new("CMYK", (2, 2)).save(tmp_path / "c.tif")
    for name in ("two.mat", "two.npz", "c.tif", "."):
        with pytest.raises(InputError):
            read_mask(tmp_path / name, CITY)
    Image.fromarray(np.array([[[5, 255]]], np.uint8)).save(tmp_path / "la.png")
    assert read_mask(tmp_path / "la.png", CITY).tolist() == [[5]]
    np.save(tmp_path / "bool.npy", np.array([[True, False]]))
    assert read_mask(tmp_path / "bool.npy", load_space("nuclei")).tolist() == [[1, 0]]


def test_encodings_that_cannot_be(tmp_path):
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(tmp_path / "g.png")
    Image.fromarray(np.full((1, 1, 3), (128, 64, 128), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(InputError, match="no colours"):
        read_mask(tmp_path / "g.png", CITY, "rgb")
    with pytest.raises(InputError, match="colour coded"):
        read_mask(tmp_path / "c.png", CITY, "labelIds")
    with pytest.raises(InputError, match="no encoding 'labelids'"):
        read_mask(tmp_path / "g.png", CITY, "labelids")


def test_a_few_bad_masks_do_not_hide_the_encoding(tmp_path):
    for k in range(5):
        Image.fromarray(np.array([[7, 26, 23]], np.uint8)).save(tmp_path / f"{k}.png")
    Image.fromarray(np.array([[7, 77]], np.uint8)).save(tmp_path / "5.png")
    (tmp_path / "6.png").write_bytes(b"broken")
    paths = sorted(tmp_path.iterdir())
    encoding, sentence = detect_encoding(paths, CITY)
    assert encoding == "labelIds"
    assert "2 of 7 masks looked at don't fit" in sentence
    with pytest.raises(InputError, match="can't be read"):
        detect_encoding([tmp_path / "6.png"], CITY)
    with pytest.raises(InputError, match=r"5\.png.*77"):
        detect_encoding([tmp_path / "5.png"], CITY)
