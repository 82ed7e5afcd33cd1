"""Cross-fitting by a tag: images of one scene never judge a fit that saw their like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.calibration.boxes.crossfit import image_parts, tags_of
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.errors import InputError
from dubio.data.boxes.table import space_of

TAGS = st.lists(st.sampled_from([None, "a", "b", "c", "d"]), min_size=2, max_size=30)


def tagged(tags):
    samples = tuple(
        BoxSample(f"i{k:02d}", domain={} if tag is None else {"scene": tag}) for k, tag in enumerate(tags)
    )
    return BoxDataset("toy", space_of("toy", ["x"]), samples, {s.image_id: BoxLabels() for s in samples})


@given(TAGS, st.integers(2, 6), st.integers(0, 3))
def test_a_group_stays_together_and_parts_are_even(tags, parts, seed):
    names = [f"i{k:02d}" for k in range(len(tags))]
    units = {t if t is not None else n for t, n in zip(tags, names, strict=True)}
    if len(units) < 2:
        with pytest.raises(InputError, match="are of one group"):
            image_parts(names, parts, seed, groups=tags)
        return
    part = image_parts(names, parts, seed, groups=tags)
    for tag in set(tags) - {None}:
        assert len({int(p) for p, t in zip(part, tags, strict=True) if t == tag}) == 1
    assert sorted(set(part.tolist())) == list(range(min(parts, len(units))))
    # the order of the images tells nothing
    turned = image_parts(names[::-1], parts, seed, groups=tags[::-1])
    assert turned[::-1].tolist() == part.tolist()


def test_no_tag_is_as_before():
    names = [f"i{k}" for k in range(11)]
    assert image_parts(names, 4, 3, groups=[None] * 11).tolist() == image_parts(names, 4, 3).tolist()


def test_an_image_that_is_called_like_a_group_stands_alone():
    part = {int(p) for p in image_parts(["a", "b"], 2, 0, groups=[None, "a"])}
    assert part == {0, 1}


def test_tags_of_a_data_set():
    data = tagged(["a", None, "b"])
    assert tags_of(data, None) is None
    assert tags_of(data, "scene") == ["a", None, "b"]
    with pytest.raises(InputError, match=r"no image has the tag 'town'.*there are: scene"):
        tags_of(data, "town")
    with pytest.raises(InputError, match="give their images no tags"):
        tags_of(tagged([None, None]), "scene")
    assert np.array_equal(image_parts(["x"], 5, 0), [0])
