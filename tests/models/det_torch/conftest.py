from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.labelspace import LabelSpace

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("timm")

SPACE = LabelSpace.from_dict(
    {"name": "shapes", "classes": [{"id": 0, "name": "dark"}, {"id": 5, "name": "light"}], "void": []}
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small():
    """A tiny architecture, with changes."""
    from dubio.models.det.torch.architecture import DetArchitecture

    def make(**changes):
        values = {"classes": 2, "backbone": "lcnet_035", "channels": 16, "convs": 1, "dropout": 0.25}
        return DetArchitecture(**{**values, **changes})

    return make


@pytest.fixture
def network(small):
    """An untrained network whose heads say something."""
    from dubio.models.det.torch.network import DetNetwork

    def make(seed=0, **changes):
        torch.manual_seed(seed)
        net = DetNetwork(small(**changes)).eval()
        with torch.no_grad():
            for head in (net.class_head.logits, net.box_head.mean, net.box_head.spread):
                if head is not None:
                    head.weight.mul_(5)
        return net

    return make


@pytest.fixture
def card(small):
    from dubio.models.det.specs import InputSpec
    from dubio.models.det.torch.select import card_of

    def make(size=(64, 96), **changes):
        return card_of(small(**changes), SPACE, InputSpec(size=size))

    return make


@pytest.fixture
def shapes(tmp_path: Path) -> Callable[..., BoxDataset]:
    """Pictures with dark and light squares on grey; every fourth picture is empty."""

    def make(count: int = 8, size: tuple[int, int] = (64, 96)) -> BoxDataset:
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        samples, labels = [], {}
        for number in range(count):
            rng = np.random.default_rng(number)
            picture = np.full((*size, 3), 120, np.uint8) + rng.integers(0, 9, (*size, 3), dtype=np.uint8)
            boxes, classes = [], []
            for k in range(0 if number % 4 == 3 else 2):
                side = int(rng.integers(20, 30))
                y = int(rng.integers(0, size[0] - side))
                x = int(rng.integers(0, size[1] // 2 - side)) + k * size[1] // 2
                picture[y : y + side, x : x + side] = (20, 235)[k]
                boxes.append([x, y, x + side, y + side])
                classes.append(k)
            name = f"p{number}"
            Image.fromarray(picture).save(folder / f"{name}.png")
            samples.append(BoxSample(name, folder / f"{name}.png", size[1], size[0]))
            labels[name] = BoxLabels(np.array(boxes, float).reshape(-1, 4), np.array(classes, int))
        return BoxDataset("shapes", SPACE, tuple(samples), labels)

    return make


@pytest.fixture
def options(small):
    from dubio.models.det.train.options import DetTrainOptions

    def make(**changes):
        values = {
            "architecture": small(convs=1, dropout=0.1),
            "size": (64, 96),
            "batch_size": 4,
            "epochs": 3,
            "lr": 5e-3,
            "scale": (1.0, 1.2),
            "jitter": 0.0,
            "accelerator": "cpu",
            "val_fraction": 0.25,
        }
        return DetTrainOptions(**{**values, **changes})

    return make
