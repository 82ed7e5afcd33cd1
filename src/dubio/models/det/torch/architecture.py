"""What a detection network is made of, as plain data; and the reference boxes of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError

Family = Literal["retinanet", "fcos"]
Where = Literal["heads", "whole"]
Size = tuple[int, int]
MULTIPLE = 32  # of which input heights and widths are, so that no cell of the maps is cut

PRESETS: dict[str, dict[str, Any]] = {
    # 0.9 million weights: trains on a processor in minutes, 1.9 MB as ONNX with float16 weights
    "tiny": {"backbone": "mobilenetv2_100", "strides": (8, 16), "extra": 1, "channels": 64, "convs": 2},
    "small": {"backbone": "mobilenetv2_100", "strides": (8, 16, 32), "extra": 1, "channels": 96, "convs": 2},
    # the published sizes: Lin et al., ICCV 2017
    "base": {"backbone": "resnet50", "strides": (8, 16, 32), "extra": 2, "channels": 256, "convs": 4},
}


@dataclass(frozen=True)
class DetArchitecture:
    """Parts of a detection network.

    Args:
        family: ``retinanet`` (anchors, deltas; Lin et al., ICCV 2017) or ``fcos`` (points, distances; Tian et
            al., ICCV 2019, without its centre-ness: the class score alone ranks the boxes).
        classes: number ``C`` of classes; each is scored by its own sigmoid.
        backbone: name of a timm model that gives feature maps.
        strides: strides of the maps taken from the backbone.
        extra: number of coarser maps added above them.
        channels: channels of the pyramid and the heads, a multiple of 8.
        convs: convolutions in each head.
        scales: of the anchors, in units of ``anchor_size`` times the stride.
        ratios: height over width of the anchors.
        anchor_size: see ``scales``.
        dropout: share of channels dropped, 0 is none.
        dropout_where: in the ``heads`` only, or in the ``whole`` network (backbone too).
        variance: whether the heads predict variances of the boxes.
        log_range: smallest and largest log variance that the heads can give.
        logit_variance: whether the class head also predicts a variance for each logit, which pulls its
            probability towards one half (see :func:`dubio.models.det.torch.heads.attenuate`).

    Raises:
        InputError: an impossible value.

    >>> DetArchitecture("fcos", 3).coder
    'distance'
    """

    family: Family = "retinanet"
    classes: int = 1
    backbone: str = "mobilenetv2_100"
    strides: tuple[int, ...] = (8, 16)
    extra: int = 1
    channels: int = 64
    convs: int = 2
    scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchor_size: float = 4.0
    dropout: float = 0.1
    dropout_where: Where = "heads"
    variance: bool = True
    log_range: tuple[float, float] = (-10.0, 4.0)
    logit_variance: bool = False

    def __post_init__(self) -> None:
        checks = (
            (self.family in ("retinanet", "fcos"), f"there is no detector '{self.family}'"),
            (self.classes >= 1, f"a detector can't have {self.classes} classes"),
            (bool(self.strides) and self.extra >= 0, "a detector needs a feature map"),
            (self.channels >= 8 and self.channels % 8 == 0, f"{self.channels} is no multiple of 8 channels"),
            (self.convs >= 0, f"a head can't have {self.convs} convolutions"),
            (0 <= self.dropout < 1, f"a dropout rate can't be {self.dropout:g}"),
            (self.dropout_where in ("heads", "whole"), f"dropout can't be in the '{self.dropout_where}'"),
            (self.log_range[0] < self.log_range[1], f"log variances can't go from {self.log_range}"),
            (min((*self.scales, *self.ratios, self.anchor_size), default=0) > 0, "anchors need a size"),
        )
        for good, fault in checks:
            if not good:
                raise InputError(fault)

    @property
    def coder(self) -> Literal["delta", "distance"]:
        """What the box head predicts."""
        return "delta" if self.family == "retinanet" else "distance"

    @property
    def levels(self) -> tuple[int, ...]:
        """Strides of all maps, the coarser ones doubling."""
        top = max(self.strides)
        return (*self.strides, *(top * 2**k for k in range(1, self.extra + 1)))

    @property
    def per_cell(self) -> int:
        """Boxes per cell of a map."""
        return len(self.scales) * len(self.ratios) if self.family == "retinanet" else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DetArchitecture:
        """The inverse of :meth:`to_dict`.

        Raises:
            InputError: an unknown field.
        """
        unknown = sorted(set(data) - {f.name for f in fields(cls)})
        if unknown:
            raise InputError(f"a detector has no '{unknown[0]}'")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**values)

    def reference(self, size: Size) -> npt.NDArray[np.float32]:
        """What the boxes are told relative to, in the order of the outputs (level, row, column, shape).

        Args:
            size: height and width of the input.

        Returns:
            Anchors ``(N, 4)`` xyxy, or ``(N, 3)`` x, y and stride of points, pixels of the input.
        """
        return np.concatenate([self._level(stride, size) for stride in self.levels]).astype(np.float32)

    def per_level(self, size: Size) -> list[int]:
        """Number of boxes on each map."""
        return [-(-size[0] // s) * -(-size[1] // s) * self.per_cell for s in self.levels]

    def _level(self, stride: int, size: Size) -> npt.NDArray[np.float64]:
        rows, columns = (-(-length // stride) for length in size)
        y, x = np.meshgrid(
            (np.arange(rows) + 0.5) * stride, (np.arange(columns) + 0.5) * stride, indexing="ij"
        )
        centre = np.stack([x, y], -1).reshape(-1, 1, 2)
        if self.family == "fcos":
            return np.concatenate([centre[:, 0], np.full((len(centre), 1), float(stride))], 1)
        root = np.sqrt(np.asarray(self.ratios))[:, None]
        side = np.asarray(self.scales)[None] * self.anchor_size * stride
        half = 0.5 * np.stack([(side / root).ravel(), (side * root).ravel()], -1)[None]
        return np.concatenate([centre - half, centre + half], -1).reshape(-1, 4)


def preset(name: str, **changes: Any) -> DetArchitecture:
    """One of :data:`PRESETS`, with changes; changes that are ``None`` are passed over.

    Raises:
        InputError: no such preset, or an impossible value.

    >>> preset("tiny", classes=3).levels
    (8, 16, 32)
    """
    if name not in PRESETS:
        raise InputError(f"there is no preset '{name}'", remedy=f"known: {', '.join(PRESETS)}")
    return DetArchitecture(**{**PRESETS[name], **{k: v for k, v in changes.items() if v is not None}})
