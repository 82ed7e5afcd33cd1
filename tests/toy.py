"""A toy data set: rectangles on a ground, a model that mostly sees them, labels with some faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dubio import LabelClass, LabelSpace

SPACE = LabelSpace(
    "toy",
    (
        LabelClass(0, "ground", (120, 120, 120)),
        LabelClass(1, "box", (220, 60, 60)),
        LabelClass(2, "wall", (60, 60, 220)),
    ),
    void=(255,),
)
TOML = """name = "toy"
void = [255]
[[classes]]
id = 0
name = "ground"
color = [120, 120, 120]
[[classes]]
id = 1
name = "box"
color = [220, 60, 60]
[[classes]]
id = 2
name = "wall"
color = [60, 60, 220]
"""


def scene(seed: int, shape: tuple[int, int] = (72, 96)) -> np.ndarray:
    """True classes of a scene: a wall on top, boxes on the ground, a strip of void."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.uint8)
    truth[: int(rng.integers(14, 22))] = 2
    for _ in range(int(rng.integers(4, 8))):
        h, w = rng.integers(8, 16, 2)
        y, x = rng.integers(20, shape[0] - h - 4), rng.integers(0, shape[1] - w)
        truth[y : y + h, x : x + w] = 1
    truth[-3:] = 3
    return truth


def logits(truth: np.ndarray, seed: int, *, miss: float = 0.1, c: int = 3) -> np.ndarray:
    """What a fair model says: blurred, noisy, some boxes overlooked; float32 (C, H, W)."""
    from scipy import ndimage

    rng = np.random.default_rng(seed + 10_000)
    seen = np.where(truth >= c, 0, truth)
    ids, n = ndimage.label(seen == 1)
    for k in range(1, n + 1):
        if rng.random() < miss:
            seen = np.where(ids == k, 0, seen)
    one_hot = (np.arange(c)[:, None, None] == seen).astype(np.float32)
    soft = ndimage.gaussian_filter(one_hot, (0, 1.2, 1.2)) + rng.normal(0, 0.05, one_hot.shape)
    return (6 * soft).astype(np.float32)


def picture(truth: np.ndarray, seed: int) -> np.ndarray:
    """A picture of the scene, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed + 20_000)
    grey = np.array([90, 180, 140, 40])[truth][..., None] + rng.normal(0, 8, (*truth.shape, 3))
    return np.clip(grey, 0, 255).astype(np.uint8)


def write_toy(root: Path, n: int = 24, *, errors: bool = True, images: bool = True) -> dict[str, np.ndarray]:
    """Write images, labels, scores and the label space; return maps of the faults that labels have."""
    truth_maps = {}
    for name in ("labels", "scores", "images"):
        (root / name).mkdir(parents=True)
    (root / "toy.toml").write_text(TOML)
    for i in range(n):
        truth = scene(i)
        label, fault = truth.copy(), np.zeros(truth.shape, np.int32)
        if errors and i % 2 == 0:
            from scipy import ndimage

            ids, _ = ndimage.label(truth == 1)
            sizes = np.bincount(ids.ravel())
            k = int(sizes[1:].argmax()) + 1
            label[ids == k] = 0  # a box that nobody labelled
            fault[ids == k] = 1
        name = f"im_{i:03d}.a"
        Image.fromarray(np.where(label == 3, 255, label).astype(np.uint8)).save(root / f"labels/{name}.png")
        np.save(root / f"scores/{name}.npy", logits(truth, i))
        if images:
            Image.fromarray(picture(truth, i)).save(root / f"images/{name}.png")
        truth_maps[name] = fault
    return truth_maps
