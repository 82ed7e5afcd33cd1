from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dubio.core.boxes import BoxLabels
from dubio.core.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")


def crops_of(data, options, **changes):
    from dubio.models.det.specs import InputSpec
    from dubio.models.det.train.images import BoxedCrops

    made = options(**changes)
    return BoxedCrops(data, made, InputSpec(size=made.size))


def test_crops_depend_on_seed_epoch_and_name_only(shapes, options):
    data = shapes(3)
    item = crops_of(data, options, scale=(0.5, 2.0))[(4, 1)]
    assert item.image.shape == (3, 64, 96)
    torch.rand(7)
    turned = replace(data, samples=data.samples[::-1])
    again = crops_of(turned, options, scale=(0.5, 2.0))[(4, 1)]
    assert torch.equal(again.image, item.image)
    assert torch.equal(again.target.boxes, item.target.boxes)
    assert not torch.equal(crops_of(data, options, scale=(0.5, 2.0))[(5, 1)].image, item.image)
    assert not torch.equal(crops_of(data, options, seed=1)[(4, 1)].image, item.image)


def test_boxes_move_with_what_they_show(shapes, options):
    data = shapes(6, (100, 130))
    crops = crops_of(data, options, scale=(0.6, 1.8))
    checked = 0
    for epoch in range(5):
        for number in range(6):
            item = crops[(epoch, number)]
            for box, kind in zip(item.target.boxes.tolist(), item.target.classes.tolist(), strict=True):
                x0, y0, x1, y1 = box
                inside = item.image[:, int(y0 + 2) : int(y1 - 1), int(x0 + 2) : int(x1 - 1)].mean()
                assert float(inside) == pytest.approx((20, 235)[kind] / 255, abs=0.06)
                checked += 1
    assert checked > 20


def test_whole_images_are_prepared_as_for_detection(shapes, options):
    from dubio.data.images import read_image
    from dubio.models.det.fit import prepare
    from dubio.models.det.specs import InputSpec
    from dubio.models.det.train.images import WholeBoxed

    data = shapes(1, (50, 120))
    spec = InputSpec(size=(64, 96), align="center")
    item = WholeBoxed(data, spec)[0]
    wanted, placed = prepare(read_image(data.samples[0].image), spec, (64, 96))
    np.testing.assert_array_equal(item.image.numpy(), wanted)
    back = placed.boxes_back(item.target.boxes.double().numpy())
    np.testing.assert_allclose(back, data.labels["p0"].boxes, atol=1e-4)
    # at scale 1 and a picture of the input's size, a crop is the same picture
    same = shapes(1, (64, 96))
    crop = crops_of(same, options, scale=(1.0, 1.0), flip=False)[(0, 0)]
    whole = WholeBoxed(same, InputSpec(size=(64, 96)))[0]
    np.testing.assert_array_equal(crop.image.numpy(), whole.image.numpy())


def test_unclear_boxes_are_neither_objects_nor_background():
    from dubio.models.det.train.images import split_labels, target_of

    labels = BoxLabels(
        np.array([[0, 0, 9, 9], [10, 0, 19, 9], [20, 0, 29, 9], [30, 30, 30, 40], [60, 0, 100, 9.0]]),
        np.arange(5),
        crowd=np.array([True, False, False, False, False]),
        difficult=np.array([False, True, False, False, False]),
        ignore=np.array([[40, 40, 50, 50.0]]),
    )
    boxes, classes, ignore = split_labels(labels)
    assert classes.tolist() == [2, 3, 4]
    found = target_of(boxes, classes, ignore, (64, 64))
    # a box without area, and one of which a tenth is on the canvas, can't be learned
    assert found.classes.tolist() == [2]
    assert len(found.ignore) == 4
    nothing = target_of(np.zeros((0, 4)), np.zeros(0, int), np.zeros((0, 4)), (64, 64))
    assert [tuple(t.shape) for t in nothing] == [(0, 4), (0,), (0, 4)]


def test_anchors_fit_the_smallest_objects(shapes):
    from dubio.models.det.train.images import fitted_anchor_size

    data = shapes(8)
    assert fitted_anchor_size(data, (64, 96), 8) == pytest.approx(20 / 8, abs=0.3)
    assert fitted_anchor_size(data, (32, 48), 8) == pytest.approx(10 / 8, abs=0.2)
    assert fitted_anchor_size(data, (640, 960), 8) == 4
    assert fitted_anchor_size(replace(data, samples=data.samples[3:4]), (64, 96), 8) == 4


def test_an_image_without_picture_is_named(shapes, options):
    data = shapes(1)
    bare = replace(data, samples=(replace(data.samples[0], image=None),))
    with pytest.raises(InputError, match="'p0' has no picture"):
        crops_of(bare, options)[(0, 0)]
