"""Write scenes as a data set in the plain layout."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.errors import InputError
from dubio.core.files import writing
from dubio.core.records import Dataset, Sample
from dubio.core.seeds import derive_seed
from dubio.data.scenes.boxes import BOX_SPACE, scene_boxes
from dubio.data.scenes.render import render_scene
from dubio.data.scenes.space import SCENE_SPACE
from dubio.engine.map import Backend, map_ordered


def write_scenes(
    root: str | Path,
    n: int,
    *,
    seed: int = 0,
    split: str | None = None,
    size: tuple[int, int] = (288, 512),
    weather: str | None = None,
    workers: int = 1,
) -> Dataset:
    """Render scenes into ``images/`` and ``labels/``, one PNG each per scene, and ``boxes.json``.

    With a split the files lie in ``images/SPLIT`` and ``labels/SPLIT``, and boxes in ``boxes_SPLIT.json``.
    Labels hold class ids of :data:`SCENE_SPACE`; boxes (COCO) have the classes of
    :data:`~dubio.data.scenes.boxes.BOX_SPACE`. Each scene depends on the seed, the split and its number
    only, so that a longer run begins with the scenes of a shorter one, and splits share no scene.

    Args:
        root: folder to write to; made if missing.
        n: number of scenes.
        seed: base seed.
        split: name of the split, or ``None``.
        size: height and width in pixels.
        weather: one weather for all, or ``None``: drawn for each scene.
        workers: processes that render at once.

    Returns:
        The data set; each sample has the domain tag ``weather``.

    Raises:
        InputError: a size or weather that :func:`render_scene` refuses, ``n`` below 1, or no place to write.
    """
    from dubio.data.boxes import write_boxes

    if n < 1:
        raise InputError(f"{n} scenes can't be written", remedy="ask for at least 1")
    work = partial(_write, root=Path(root), seed=seed, split=split, size=size, weather=weather)
    backend: Backend = "serial" if workers == 1 else "processes"
    found = list(map_ordered(work, range(n), workers=workers, backend=backend))
    samples = tuple(sample for sample, _ in found)
    boxes = BoxDataset(
        "scenes",
        BOX_SPACE,
        tuple(BoxSample(s.image_id, s.image, size[1], size[0], split, s.domain) for s in samples),
        {s.image_id: labels for s, labels in found},
    )
    write_boxes(boxes, Path(root) / ("boxes.json" if split is None else f"boxes_{split}.json"), "coco")
    return Dataset("scenes", SCENE_SPACE, samples, root=Path(root))


def _write(
    number: int, *, root: Path, seed: int, split: str | None, size: tuple[int, int], weather: str | None
) -> tuple[Sample, BoxLabels]:
    scene = render_scene(derive_seed(seed, split or "", str(number)), size=size, weather=weather)
    name, below = f"scene_{number:05d}", split or "."
    image, label = root / "images" / below / f"{name}.png", root / "labels" / below / f"{name}.png"
    with writing(image) as part:
        Image.fromarray(scene.image).save(part, compress_level=3)
    ids = SCENE_SPACE.decode(scene.label)
    with writing(label) as part:
        Image.fromarray(ids.astype(np.uint8)).save(part)
    return Sample(name, image, label, split, {"weather": scene.weather}), scene_boxes(scene)
