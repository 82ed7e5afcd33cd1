from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.errors import InputError
from dubio.models.card import ModelCard
from dubio.models.inference import predict_scores, window_starts
from dubio.models.load import load_model


class Pointwise:
    """A network whose scores depend on a pixel alone."""

    space = None
    n_channels = 2
    kind = "logits"

    def __init__(self, **card):
        self.card = ModelCard(scale="0-255", mean=(0, 0, 0), std=(1, 1, 1), **card)
        self.batches: list[tuple[int, ...]] = []

    def run(self, batch, *, amp=False):
        self.batches.append(batch.shape)
        return np.stack([batch.sum(axis=1), batch[:, 0] * 2], axis=1)

    def describe(self):
        return []

    def key(self):
        return 0


def picture(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.floats(0, 0.9),
    st.integers(1, 5),
)
def test_sliding_window_equals_the_whole_image(shape, window, overlap, batch_size):
    image = picture(0, *shape)
    (whole,) = predict_scores(Pointwise(), [image])
    (slid,) = predict_scores(Pointwise(), [image], window=window, overlap=overlap, batch_size=batch_size)
    np.testing.assert_allclose(slid, whole, rtol=1e-4, atol=1e-2)


def test_windows_of_fixed_size_fill_up_small_images():
    model = Pointwise(size=(16, 16))
    image = picture(1, 10, 30)
    (slid,) = predict_scores(model, [image], window=(16, 16))
    assert {shape[2:] for shape in model.batches} == {(16, 16)}
    np.testing.assert_allclose(slid, predict_scores(Pointwise(), [image])[0], rtol=1e-4, atol=1e-2)


@given(st.integers(1, 500), st.integers(1, 100), st.floats(0, 0.95))
def test_windows_cover_everything(length, window, overlap):
    starts = window_starts(length, window, overlap)
    covered = np.zeros(length, bool)
    for start in starts:
        covered[start : start + window] = True
    assert covered.all()
    assert starts == sorted(set(starts))
    assert starts[-1] + window <= max(length, window)


def test_images_of_equal_size_share_a_batch_in_the_given_order():
    model = Pointwise()
    images = [picture(n, *size) for n, size in enumerate([(8, 9), (5, 5), (8, 9), (8, 9)])]
    together = predict_scores(model, images, batch_size=2)
    assert sorted(shape[0] for shape in model.batches) == [1, 1, 2]
    for image, scores in zip(images, together, strict=True):
        np.testing.assert_array_equal(scores, predict_scores(Pointwise(), [image])[0])


def test_scores_come_at_the_wanted_size():
    images = [picture(0, 8, 9), picture(1, 8, 9)]
    assert [s.shape for s in predict_scores(Pointwise(), images, size=(4, 5))] == [(2, 4, 5)] * 2
    mixed = predict_scores(Pointwise(), images, size=[None, (16, 18)])
    assert [s.shape for s in mixed] == [(2, 8, 9), (2, 16, 18)]


def test_stretched_input_is_stretched_back():
    model = Pointwise(size=(7, 20))
    (scores,) = predict_scores(model, [np.full((30, 30, 3), 9, np.uint8)])
    assert model.batches == [(1, 3, 7, 20)]
    assert scores.shape == (2, 30, 30)
    np.testing.assert_allclose(scores[0], 27, atol=1e-4)


def test_wrong_arrays_are_refused():
    with pytest.raises(InputError, match="uint8"):
        predict_scores(Pointwise(), [np.zeros((4, 4, 3), np.float32)])
    with pytest.raises(InputError, match="overlap"):
        predict_scores(Pointwise(), [picture(0, 4, 4)], window=(2, 2), overlap=1.0)


def test_real_network_on_real_images(shared):
    """DeepLab trained on Cityscapes, shown CamVid: about 0.5 to 0.65 mIoU, whatever ten images."""
    from dubio.data.layouts import open_dataset
    from dubio.data.masks import read_mask
    from dubio.data.spaces import load_space
    from dubio.models.source import ModelSource
    from dubio.models.tally import Tally

    network = shared / "data/models/deeplab_edgetpu_cityscapes19.onnx"
    model = load_model(network, card="deeplab-edgetpu", space="cityscapes", device="cpu", threads=1)
    data = open_dataset(shared / "data/camvid", layout="camvid")
    samples = [s for s in data if s.split == "val"][::10]
    source = ModelSource(model, load_space("camvid"))
    tally = Tally.empty(11)
    for sample in samples:
        label = read_mask(sample.label, data.space, data.encoding)
        prediction = source.read(sample, label.shape)
        assert prediction.scores.shape == (11, 360, 480)
        tally.add(Tally.of(prediction.scores.argmax(axis=0), label, 11))
    assert model.card.input_size(360, 480) == (353, 481)
    assert 0.5 < tally.mean_iou < 0.7
    assert 0.85 < tally.accuracy < 0.92
