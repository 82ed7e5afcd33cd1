from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dubio import InputError, LabelSpace
from dubio.data.masks import write_mask
from dubio.data.spaces import builtin_spaces, infer_space, load_space

OWN = """
name = "mine"
void = [9]
classes = [ { id = 0, name = "soil", color = "#102030" }, { id = 4, name = "crop" } ]
[encodings.shifted]
offset = 1
void = [0]
[encodings.rgb.map]
"#ff0000" = 4
"""


@pytest.mark.parametrize("name", builtin_spaces())
def test_every_builtin_space_loads_and_survives_a_round_trip(name):
    space = load_space(name)
    assert space.name == name
    assert LabelSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    indices = np.arange(len(space), dtype=space.dtype)
    assert np.array_equal(space.encode(space.decode(indices)), indices)
    for encoding in space.encodings.values():
        assert {v for v in encoding.values.values() if v is not None} <= set(space.ids)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("cityscapes", 19),
        ("camvid", 11),
        ("voc", 21),
        ("coco-stuff", 171),
        ("coco-panoptic", 133),
        ("carla", 28),
        ("carla-0.9.13", 22),
        ("ade20k", 150),
        ("a2d2", 19),
        ("a2d2-38", 38),
        ("idd", 19),
        ("acdc", 19),
        ("comma10k", 5),
        ("nuclei", 2),
    ],
)
def test_class_counts(name, count):
    assert len(load_space(name)) == count


def test_cityscapes_label_ids():
    space = load_space("cityscapes")
    stored = np.array([7, 8, 11, 26, 33, 0, 4, 29, -1])
    assert space.encode(stored, "labelIds").tolist() == [0, 1, 2, 13, 18, 19, 19, 19, 19]
    assert space.encode(np.array([18, 255, -1])).tolist() == [18, 19, 19]
    with pytest.raises(InputError, match="77"):
        space.encode(np.array([77]), "labelIds")


def test_idd_level3_table():
    stored = np.array([0, 2, 22, 4, 10, 25, 18, 255, 12])
    assert load_space("idd").encode(stored, "level3Ids").tolist() == [0, 1, 2, 11, 14, 10, 7, 19, 19]


def test_voc_palette_is_the_bit_pattern():
    space = load_space("voc")
    assert space.palette[[0, 1, 15, 20]].tolist() == [[0, 0, 0], [128, 0, 0], [192, 128, 128], [0, 64, 128]]
    assert space.palette[-1].tolist() == [224, 224, 192]


def test_gaps_and_offsets_of_coco_stuff():
    space = load_space("coco-stuff")
    assert space.ids[:13] == (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13)
    assert space.encode(np.array([0, 181, 255])).tolist() == [0, 170, 171]
    assert space.encode(np.array([0, 1, 182]), "labels").tolist() == [171, 0, 170]
    assert space.encode(np.array([0, 170, 255]), "trainIds").tolist() == [0, 170, 171]


def test_carla_tags_in_cityscapes_classes():
    space = load_space("carla-cityscapes")
    assert space.encode(np.array([1, 24, 14, 20, 0]), "tags").tolist() == [0, 0, 13, 19, 19]
    assert space.encode(np.array([7, 6, 10, 4, 14]), "tags-0.9.13").tolist() == [0, 0, 13, 11, 19]


def test_own_toml_and_json(tmp_path):
    (tmp_path / "mine.toml").write_text(OWN)
    space = load_space(tmp_path / "mine.toml")
    assert space.names == ("soil", "crop")
    assert space.classes[0].color == (16, 32, 48)
    assert space.encode(np.array([0, 1, 5]), "shifted").tolist() == [2, 0, 1]
    assert space.encode(np.array([0, 8]), "nonzero").tolist() == [0, 1]
    (tmp_path / "mine.json").write_text(json.dumps(space.to_dict()))
    assert load_space(str(tmp_path / "mine.json")) == space


@pytest.mark.parametrize(
    "text", ["name = ", 'name = "x"', 'classes = [ { name = "a" } ]', OWN + '"#00ff00" = 77', "classes = 3"]
)
def test_malformed_files_are_refused(tmp_path, text):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.toml"):
        load_space(path)


def test_unknown_name_lists_the_known():
    with pytest.raises(InputError, match="cityscapes"):
        load_space("citiscape")


def _masks(folder: Path, arrays: list[np.ndarray]) -> list[Path]:
    from PIL import Image

    paths = [folder / f"m{k}.png" for k in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        Image.fromarray(array).save(path)
    return paths


def test_infer_ids_with_void(tmp_path):
    arrays = [np.array([[0, 1], [5, 255]], np.uint8), np.array([[3, 4], [5, 5]], np.uint8)]
    space, encoding, said = infer_space(_masks(tmp_path, arrays))
    assert (len(space), space.void, encoding) == (6, (255,), None)
    assert "255 is taken as void" in " ".join(said)
    assert "2 not seen" in " ".join(said)


def test_infer_binary(tmp_path):
    space, encoding, _ = infer_space(_masks(tmp_path, [np.array([[0, 255]], np.uint8)]))
    assert (len(space), encoding) == (2, "nonzero")


def test_infer_recognises_instance_maps(tmp_path):
    arrays = [np.arange(n, dtype=np.uint16).reshape(1, -1) for n in (30, 300, 12)]
    space, encoding, said = infer_space(_masks(tmp_path, arrays))
    assert (len(space), encoding) == (2, "nonzero")
    assert "instance map" in said[-1]
    assert "nonzero" in said[-1]


def test_infer_colors(tmp_path):
    comma = load_space("comma10k")
    write_mask(tmp_path / "a.png", np.array([[0, 1, 2]], np.uint8), comma, "rgb")
    space, encoding, said = infer_space([tmp_path / "a.png"])
    assert (len(space), encoding) == (3, "rgb")
    assert {c.color for c in space.classes} == {c.color for c in comma.classes[:3]}
    assert "3 colours" in said[-1]


def test_infer_refuses_pictures_and_nothing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="colours"):
        infer_space(_masks(tmp_path, [noise]))
    with pytest.raises(InputError, match="no masks"):
        infer_space([])


def test_infer_names_what_it_cannot_read(tmp_path):
    paths = _masks(tmp_path, [np.array([[0, 1]], np.uint8)])
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    _, _, said = infer_space([*paths, tmp_path / "broken.png"])
    assert any("broken.png" in line for line in said)
