from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.core.errors import InputError
from dubio.core.records import Sample
from dubio.models.train.options import TrainOptions, assign_folds, labelled, split_off


@given(st.integers(2, 60), st.integers(2, 7), st.integers(0, 9), st.randoms())
def test_folds_are_even_and_do_not_depend_on_order(count, folds, seed, random):
    samples = [Sample(f"image {n}") for n in range(count)]
    if count < folds:
        with pytest.raises(InputError):
            assign_folds(samples, folds, seed)
        return
    dealt = assign_folds(samples, folds, seed)
    sizes = np.bincount(list(dealt.values()), minlength=folds)
    assert sizes.sum() == count
    assert np.ptp(sizes) <= 1
    random.shuffle(samples)
    assert assign_folds(samples, folds, seed) == dealt


def test_a_group_stays_in_one_fold():
    samples = [Sample(f"i{n}", domain={"scene": f"s{n % 5}"}) for n in range(40)]
    dealt = assign_folds(samples, 3, 0, group="scene")
    for scene in range(5):
        assert len({dealt[f"i{n}"] for n in range(40) if n % 5 == scene}) == 1
    assert assign_folds(samples, 3, 0) != assign_folds(samples, 3, 1)
    with pytest.raises(InputError, match="1 folds"):
        assign_folds(samples, 1, 0)


def test_split_is_by_name(block_data):
    data = block_data(8)
    train, val = split_off(data, 0.25, 3)
    assert len(val) == 2
    assert {s.image_id for s in train} | {s.image_id for s in val} == {s.image_id for s in data}
    turned = replace(data, samples=data.samples[::-1])
    assert {s.image_id for s in split_off(turned, 0.25, 3)[1]} == {s.image_id for s in val}
    bare = replace(data, samples=(data.samples[0], replace(data.samples[1], label=None)))
    with pytest.raises(InputError, match="1 labelled"):
        split_off(labelled(bare), 0.5, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": (0, 8)},
        {"lr": 0.0},
        {"scale": (2.0, 1.0)},
        {"val_fraction": 1.0},
        {"warmup": 1.0},
        {"epochs": 0},
    ],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(InputError):
        TrainOptions(**wrong)


def test_the_recipe_leaves_the_hardware_out():
    recipe = TrainOptions().recipe()
    assert TrainOptions(devices="2", precision="16-mixed", workers=3).recipe() == recipe
    assert TrainOptions(lr=0.5).recipe() != recipe


class TestLosses:
    @pytest.fixture(autouse=True)
    def needs_torch(self):
        self.torch = pytest.importorskip("torch")

    def case(self, seed=0):
        self.torch.manual_seed(seed)
        label = self.torch.randint(0, 4, (2, 6, 7))
        return self.torch.randn(2, 3, 6, 7), label

    def test_void_pixels_change_nothing(self):
        from dubio.models.train.losses import cross_entropy, dice_loss

        logits, label = self.case()
        other = self.torch.where((label == 3).unsqueeze(1), self.torch.randn_like(logits) * 50, logits)
        for loss in (cross_entropy, dice_loss):
            assert float(loss(logits, label, 3)) == pytest.approx(float(loss(other, label, 3)), rel=1e-5)
        nothing = self.torch.full_like(label, 3)
        assert float(cross_entropy(logits, nothing, 3)) == 0
        assert float(dice_loss(logits, nothing, 3)) == 0

    def test_cross_entropy_is_that_of_torch(self):
        from dubio.models.train.losses import cross_entropy

        logits, label = self.case(1)
        for weights in (None, self.torch.tensor([1.0, 2.0, 0.5])):
            wanted = self.torch.nn.functional.cross_entropy(logits, label, weights, ignore_index=3)
            assert float(cross_entropy(logits, label, 3, weights)) == pytest.approx(float(wanted), rel=1e-5)

    def test_dice_is_zero_when_right_and_one_when_wrong(self):
        from dubio.models.train.losses import dice_loss

        label = self.torch.zeros(1, 20, 20, dtype=self.torch.int64)
        label[0, :10] = 1
        sure = self.torch.nn.functional.one_hot(label, 2).permute(0, 3, 1, 2) * 100.0
        assert float(dice_loss(sure, label, 2)) == pytest.approx(0, abs=1e-4)
        assert float(dice_loss(-sure, label, 2)) > 0.99

    def test_rare_classes_weigh_more(self):
        from dubio.models.train.losses import balanced_weights

        weights = balanced_weights([np.repeat(np.array([0, 1, 2, 3], np.uint8), [90, 9, 1, 50])], 3)
        assert weights[0] < weights[1] < weights[2] <= 10
        assert balanced_weights([], 2) == (1.0, 1.0)

    def test_warm_up_and_cosine(self):
        from dubio.models.train.module import warm_cosine

        factors = [warm_cosine(step, 10, 100) for step in range(101)]
        assert factors[:10] == pytest.approx(np.arange(1, 11) / 10)
        assert np.all(np.diff(factors[10:]) <= 0)


class TestCrops:
    @pytest.fixture(autouse=True)
    def needs_torch(self):
        self.torch = pytest.importorskip("torch")

    def crops(self, data, **options):
        from dubio.models.card import ModelCard
        from dubio.models.train.crops import Crops

        return Crops(data, TrainOptions(crop=(32, 48), **options), ModelCard())

    def test_crops_depend_on_seed_epoch_and_name_only(self, block_data):
        data = block_data(3)
        crops = self.crops(data)
        image, label = crops[(4, 1)]
        assert (image.shape, label.shape) == ((3, 32, 48), (32, 48))
        self.torch.rand(7)
        turned = self.crops(replace(data, samples=data.samples[::-1]))
        again = turned[(4, 1)]
        assert self.torch.equal(again[0], image)
        assert self.torch.equal(again[1], label)
        assert not self.torch.equal(crops[(5, 1)][0], image)
        assert not self.torch.equal(self.crops(data, seed=1)[(4, 1)][0], image)

    def test_image_and_label_move_together_and_the_outside_is_void(self, block_data):
        data = block_data(4, ((20, 24), (90, 100)))
        crops = self.crops(data, jitter=0.0)
        outside = 0
        for epoch in range(6):
            for number in range(4):
                image, label = crops[(epoch, number)]
                best = image.argmax(dim=0)
                valid = label < 3
                outside += int((~valid).sum())
                # Only pixels at the seams of blocks are mixed by scaling.
                assert float((best == label)[valid].float().mean()) > 0.8
        assert outside > 0

    def test_order_covers_each_image_once_per_epoch(self):
        from dubio.models.train.crops import EpochSampler

        sampler = EpochSampler(9, 0)
        first = list(sampler)
        sampler.set_epoch(1)
        second = list(sampler)
        assert sorted(first) == [(0, n) for n in range(9)]
        assert sorted(second) == [(1, n) for n in range(9)]
        assert [n for _, n in first] != [n for _, n in second]

    def test_sizes_that_differ_are_refused(self, block_data):
        data = block_data(2, ((40, 56), (33, 20)))
        mixed = replace(data, samples=(replace(data.samples[0], label=data.samples[1].label),))
        with pytest.raises(InputError, match="33 x 20"):
            self.crops(mixed)[(0, 0)]
