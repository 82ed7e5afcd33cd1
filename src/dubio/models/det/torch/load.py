"""Open a detector that torch runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dubio.core.errors import InputError
from dubio.core.files import read_json
from dubio.models.torchdev import require_torch
from dubio.uncertainty.boxes.suppress import Suppression

if TYPE_CHECKING:
    from dubio.models.det.torch.dfine import DFineDetector
    from dubio.models.det.torch.uncertain import Detecting, UncertainDetector


def load_torch_detector(
    path: str | Path | Sequence[str | Path],
    *,
    samples: int = 10,
    seed: int = 0,
    flip: bool = False,
    scales: Sequence[float] = (1.0,),
    suppression: Suppression | None = None,
    decode: str = "exact",
    device: str = "auto",
    amp: bool = False,
    batch_size: int = 4,
) -> UncertainDetector | DFineDetector:
    """Open a checkpoint of ``dubio train detector``, several as an ensemble, or a folder with D-FINE.

    Args:
        path: folder of a checkpoint (or one of its files), several, or a transformers folder.
        samples: dropout masks; 1 asks the network as it is. D-FINE has none.
        seed: of the masks.
        flip: also look at the mirrored image.
        scales: of the input, at which the image is looked at.
        suppression: how double detections are removed; default: the house's.
        decode: how boxes are decoded, one of :data:`dubio.uncertainty.boxes.METHODS`.
        device: ``auto``, ``cpu`` or ``cuda``.
        amp: mixed precision on a GPU.
        batch_size: images per run.

    Raises:
        InputError: nothing there that can be opened, or an option that this detector has no use for.
        MissingExtraError: torch isn't installed.
    """
    require_torch("running a detector")
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    for one in paths:
        if not one.exists():
            raise InputError("doesn't exist", path=one, remedy="name the folder of a detector")
    if paths and is_dfine(paths[0]):
        from dubio.models.det.torch.dfine import DFineDetector

        if len(paths) > 1 or flip or tuple(scales) != (1.0,) or decode != "exact":
            raise InputError(
                "D-FINE runs as it is: without ensemble, further looks and other decodings",
                path=paths[0],
                remedy="leave them out",
            )
        return DFineDetector(paths[0], device=device, amp=amp, suppression=suppression, batch_size=batch_size)
    from dubio.models.det.torch.uncertain import Detecting
    from dubio.models.det.torch.views import views

    how = Detecting(
        samples=samples,
        seed=seed,
        views=views(flip=flip, scales=scales),
        suppression=suppression or Suppression(),
        decode=decode,
        batch_size=batch_size,
        amp=amp,
    )
    return _load(paths, how, device)


def _load(paths: Sequence[Path], how: Detecting, device: str) -> UncertainDetector:
    from dubio.models.det.torch.checkpoint import load_network
    from dubio.models.det.torch.uncertain import UncertainDetector
    from dubio.models.smp import DESCRIPTION, WEIGHTS

    pairs = [load_network(p) for p in paths]
    if not pairs:
        raise InputError("no detector is given")
    card = pairs[0][1]
    for path, (_, other) in zip(paths, pairs, strict=True):
        if other != card:
            raise InputError(
                "has other classes or another input than the first of the ensemble",
                path=path,
                remedy="train the members alike",
            )
    folders = [p if p.is_dir() else p.parent for p in paths]
    files = [f / name for f in folders for name in (WEIGHTS, DESCRIPTION)]
    return UncertainDetector([n for n, _ in pairs], card, how, device=device, files=files)


def is_dfine(path: Path) -> bool:
    """Whether a folder holds a D-FINE network of transformers."""
    if not (path / "config.json").is_file():
        return False
    try:
        data = read_json(path / "config.json")
    except InputError:
        return False
    return isinstance(data, dict) and data.get("model_type") == "d_fine"
