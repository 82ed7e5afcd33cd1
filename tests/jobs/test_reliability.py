"""Models over domains: resume, bad files, unknown classes, sizes, and the order that must not matter."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dubio import (
    FileCandidate,
    InputError,
    NetworkCandidate,
    ReliabilityOptions,
    load_model,
    measure_reliability,
    parse_corruptions,
)
from dubio.data.domains import corrupted

from .helpers import SIZE, domain, draw, logits, save, shards, write_domain, write_network, write_space

FEW = ReliabilityOptions(replicates=10, worst=0, learned=False)


@pytest.fixture
def day(tmp_path):
    root = write_domain(tmp_path / "day", 6)
    write_space(root / "colours.json")
    return root


def files(root, name="files", to="day"):
    return FileCandidate(name, {to: root / "scores"})


def network(root, sure=3.0):
    pytest.importorskip("onnx")
    path = root / f"net{sure:g}.onnx"
    if not path.exists():  # its time counts
        write_network(path, sure)
    model = load_model(path, space=root / "colours.json", input_scale="0-1", device="cpu")
    return NetworkCandidate("net", model)


def table(result):
    """Everything that was measured, as text."""
    return json.dumps(result.summary["cells"], sort_keys=True)


def test_a_stopped_run_goes_on_with_the_same_table(day, tmp_path):
    places = [domain(day), *corrupted(domain(day), parse_corruptions("brightness:2"))]
    model = network(day)
    whole = measure_reliability(places, [model], tmp_path / "whole", FEW)

    def stop(items, total, text):
        for n, item in enumerate(items):
            if n == 3 and "brightness" in text:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        measure_reliability(places, [model], tmp_path / "run", FEW, workers=1, progress=stop)
    before = shards(tmp_path / "run")
    assert 9 <= len(before) < 12
    assert not (tmp_path / "run/summary.json").exists()
    again = measure_reliability(places, [model], tmp_path / "run", FEW)
    after = shards(tmp_path / "run")
    assert {p: after[p] for p in before} == before, "finished shards are taken over"
    assert table(again) == table(whole)


def test_damaged_shards_are_made_again(day, tmp_path):
    first = measure_reliability([domain(day)], [files(day)], tmp_path / "run", FEW)
    paths = sorted(shards(tmp_path / "run"))
    paths[0].write_bytes(paths[0].read_bytes()[:100])
    paths[1].write_bytes(b"")
    paths[2].unlink()
    kept = {p: v for p, v in shards(tmp_path / "run").items() if p not in paths[:3]}
    second = measure_reliability([domain(day)], [files(day)], tmp_path / "run", FEW)
    assert table(second) == table(first)
    now = shards(tmp_path / "run")
    assert {p: now[p] for p in kept} == kept


def change(path):
    """Another label, with a later time."""
    label = np.array(Image.open(path))
    label[10:] = (label[10:] + 1) % 3
    save(path, label)
    os.utime(path, (path.stat().st_atime + 5, path.stat().st_mtime + 5))


def test_a_changed_label_is_examined_anew_alone(day, tmp_path):
    out, places = tmp_path / "run", [domain(day)]
    first = measure_reliability(places, [network(day)], out, FEW)
    before = shards(out)
    change(day / "labels/p002.png")
    second = measure_reliability(places, [network(day)], out, FEW)
    after = shards(out)
    new = [p.name for p in set(after) - set(before)]
    assert len(new) == 1
    assert new[0].startswith("p002")
    assert {p: after[p] for p in before if p in after} == {p: v for p, v in before.items() if p in after}
    assert table(second) != table(first)
    fresh = measure_reliability(places, [network(day)], tmp_path / "fresh", FEW)
    assert table(second) == table(fresh)


def test_a_changed_label_of_the_source_teaches_the_detectors_anew(tmp_path):
    """Scores learned on the source depend on its labels; a resumed run equals a fresh one."""
    root = write_domain(tmp_path / "day", 10)
    write_space(root / "colours.json")
    options = replace(FEW, learned=True)
    measure_reliability([domain(root)], [network(root)], tmp_path / "run", options)
    for n in range(4):
        path = root / f"labels/p00{n}.png"
        label = np.array(Image.open(path))
        label[:20] = 255
        save(path, label)
        os.utime(path, (path.stat().st_atime + 5, path.stat().st_mtime + 5))
    resumed = measure_reliability([domain(root)], [network(root)], tmp_path / "run", options)
    fresh = measure_reliability([domain(root)], [network(root)], tmp_path / "fresh", options)
    assert "standardized_max_logit" in fresh.summary["cells"][0]["misclassification"]
    assert table(resumed) == table(fresh)


def test_another_network_under_the_same_name_is_another_model(day, tmp_path):
    loud = measure_reliability([domain(day)], [network(day, 3.0)], tmp_path / "run", FEW)
    fair = measure_reliability([domain(day)], [network(day, 1.0)], tmp_path / "run", FEW)
    assert fair.cell("net", "day")["metrics"]["ece"] < loud.cell("net", "day")["metrics"]["ece"] / 2


def test_order_of_files_and_workers_do_not_matter(tmp_path):
    root = write_domain(tmp_path / "day", 12)
    write_space(root / "colours.json")
    one = domain(root)
    turned = replace(one, dataset=replace(one.dataset, samples=tuple(reversed(one.dataset.samples))))
    options = replace(FEW, learned=True, replicates=0)
    found = [
        measure_reliability([d], [network(root)], tmp_path / f"run{n}", options, workers=workers)
        for n, (d, workers) in enumerate([(one, 1), (turned, 3), (one, 4)])
    ]
    assert table(found[0]) == table(found[2])
    figures = [f.cell("net", "day") for f in found[:2]]
    for name, value in figures[0]["metrics"].items():
        assert figures[1]["metrics"][name] == pytest.approx(value, rel=1e-9), name
    assert figures[1]["misclassification"]["standardized_max_logit"]["auroc"] == pytest.approx(
        figures[0]["misclassification"]["standardized_max_logit"]["auroc"], rel=1e-6
    )


def test_bad_images_among_many_are_left_out_and_listed(day, tmp_path):
    (day / "images/p001.png").write_bytes(b"no picture")
    save(day / "labels/p003.png", np.full(SIZE, 77, np.uint8))
    wide = np.zeros((24, 99, 3), np.uint8)
    save(day / "images/p004.png", wide)
    said = []
    found = measure_reliability([domain(day)], [network(day)], tmp_path / "run", FEW, say=said.append)
    assert set(found.quarantine) == {"day: p001", "day: p003", "day: p004"}
    assert found.cell("net", "day")["images"] == 3
    assert json.loads((tmp_path / "run/quarantine.json").read_text()) == found.quarantine
    assert "77" in found.quarantine["day: p003"]
    assert any("p001" in line for line in said)
    with pytest.raises(InputError, match="p001"):
        measure_reliability([domain(day)], [network(day)], tmp_path / "strict", FEW, strict=True, workers=1)


def test_nothing_to_examine_is_an_error_with_the_first_reason(day, tmp_path):
    for path in (day / "images").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="no image could be examined; the first fault"):
        measure_reliability([domain(day)], [network(day)], tmp_path / "run", FEW)


def test_a_domain_without_usable_images_leaves_the_others(day, tmp_path):
    other = write_domain(tmp_path / "dark", 2, first=70)
    write_space(other / "colours.json")
    for path in (other / "images").iterdir():
        path.write_bytes(b"no picture")
    for order in ([day, other], [other, day]):
        places = [domain(root, root.name) for root in order]
        out = tmp_path / f"run-{order[0].name}"
        found = measure_reliability(places, [network(day)], out, FEW)
        empty = found.cell("net", "dark")
        assert empty["images"] == 0
        assert empty["metrics"]["ece"] is None
        assert "nothing could be judged" in empty["sentence"]
        assert found.cell("net", "day")["metrics"]["ece"] > 0
        assert (out / "report.html").is_file()


def test_images_without_any_label_count_nothing(day, tmp_path):
    full = measure_reliability([domain(day)], [files(day)], tmp_path / "full", FEW)
    for n in (20, 21):
        image, _ = draw(n)
        save(day / f"images/p0{n}.png", image)
        save(day / f"labels/p0{n}.png", np.full(SIZE, 255, np.uint8))
        np.save(day / f"scores/p0{n}.npy", logits(image, 3.0))
    more = measure_reliability([domain(day)], [files(day)], tmp_path / "more", FEW)
    a, b = (r.cell("files", "day") for r in (full, more))
    assert (b["images"], b["pixels"]) == (8, a["pixels"])
    assert b["metrics"] == a["metrics"]


def test_images_of_unequal_size(day, tmp_path):
    write_domain(day, 2, first=30, size=(40, 16))
    write_domain(day, 1, first=33, size=(7, 9))
    by_file = measure_reliability([domain(day)], [files(day)], tmp_path / "files", FEW)
    by_network = measure_reliability([domain(day)], [network(day)], tmp_path / "net", FEW)
    pixels = 6 * 22 * 32 + 2 * 38 * 16 + 5 * 9
    a, b = by_file.cell("files", "day"), by_network.cell("net", "day")
    assert a["pixels"] == b["pixels"] == pixels
    assert a["metrics"]["nll"] == pytest.approx(b["metrics"]["nll"], rel=1e-4)


def test_probabilities_in_files_tell_no_logits(day, tmp_path):
    for path in (day / "scores").glob("*.npy"):
        z = np.load(path)
        p = np.exp(z - z.max(0))
        np.save(path, p / p.sum(0))
    cell = measure_reliability([domain(day)], [files(day)], tmp_path / "run", FEW).cell("files", "day")
    assert cell["misclassification"]["max_logit"]["auroc"] is None
    assert cell["misclassification"]["entropy"]["auroc"] > 0.5


def test_label_maps_are_no_scores(day, tmp_path):
    shutil.rmtree(day / "scores")
    shutil.copytree(day / "labels", day / "scores")
    with pytest.raises(InputError):
        measure_reliability([domain(day)], [files(day)], tmp_path / "run", FEW)


def test_missing_scores_of_an_image_are_a_fault_of_it(day, tmp_path):
    (day / "scores/p002.npy").unlink()
    found = measure_reliability([domain(day)], [files(day)], tmp_path / "run", FEW)
    assert list(found.quarantine) == ["day: p002"]
    assert "there is no prediction" in found.quarantine["day: p002"]


def test_pictures_follow_what_they_show(day, tmp_path):
    options = replace(FEW, worst=2)
    first = measure_reliability([domain(day)], [network(day)], tmp_path / "run", options)
    worst = first.cell("net", "day")["worst"]
    assert [w["ece"] for w in worst] == sorted((w["ece"] for w in worst), reverse=True)
    change(day / f"labels/{worst[0]['image_id']}.png")
    second = measure_reliability([domain(day)], [network(day)], tmp_path / "run", options)
    names = {w["image_id"]: w["picture"]["src"] for w in second.cell("net", "day")["worst"]}
    assert names[worst[0]["image_id"]] != worst[0]["picture"]["src"]
    assert all((tmp_path / "run" / src).is_file() for src in names.values())


def test_options_out_of_range_are_refused(day, tmp_path):
    with pytest.raises(InputError, match="there is no score 'luck'"):
        ReliabilityOptions(scores=("luck",))
    with pytest.raises(InputError, match="0 bins"):
        ReliabilityOptions(bins=0)
    assert ReliabilityOptions(scores=("energy",)).scores == ("max_prob", "energy")
    with pytest.raises(InputError, match="no domains or no models"):
        measure_reliability([], [files(day)], tmp_path / "run", FEW)
    with pytest.raises(InputError, match="lies in the folder of labels"):
        measure_reliability([domain(day)], [files(day)], day / "labels/run", FEW)
