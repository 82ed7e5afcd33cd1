"""A small sound detection data set to spoil, and the commands on boxes as a user calls them."""

from __future__ import annotations

import json
import shutil

from PIL import Image

from ..jobs.helpers import complaint, run_cli
from ..jobs.validate_world import squares, squares_detector
from . import makers
from .conftest import assert_plain

QUICK = {
    "validate": ("--replicates", 0, "--pictures", 1),
    "calibrate": ("--replicates", 0, "--no-compare"),
    "audit": ("--folds", 2, "--copies", 1, "--max-findings", 3),
}
FILES = {
    **makers.COMMON,
    "pickle": makers.bare_pickle,
    "picture": lambda path: Image.new("L", (4, 4)).save(path, "PNG"),
    "dangling link": makers.dangling_link,
    "link to itself": makers.link_to_itself,
}
BAD = ("truncated", "header_only", "empty", "text", "huge_png")


def write_world(root):
    """Twelve pictures of squares, their labels, a detector and what it finds: ``labels.json``, ``seen``."""
    squares(root)
    squares_detector(root / "net.onnx")
    found = predict(root, root / "seen", "--boxes", root / "labels.json")
    assert found.exit_code == 0, found.stderr
    return root


def predict(root, out, *more, images="images", net="net.onnx"):
    return run_cli("predict", "--detector", root / net, "--images", root / images, *more, "--out", out)


def on(command, labels, seen, out, *more):
    """The arguments of a command on boxes, with quick options."""
    return (command, "--boxes", labels, "--detections", seen, *QUICK[command], *more, "--out", out)


def refused(*args):
    """The sentence of a refusal, which is plain."""
    sentence = complaint(*args)
    assert_plain(sentence)
    return sentence


def spoilt(path, place, fault):
    shutil.copy(path, place)
    fault(place)
    return place


def labels_with(world, place, change):
    """Write the labels, changed: ``change`` gets the data of the COCO file."""
    data = json.loads((world / "labels.json").read_text())
    change(data)
    place.write_text(json.dumps(data))
    return place
