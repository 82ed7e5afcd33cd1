"""``dubio reliability`` from the command line to the files of the run."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from ..jobs.helpers import answer, cells, complaint, data, run_cli, write_domain, write_network, write_space

FEW = ("--replicates", "20", "--worst", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two networks; a day, a night with two classes, and scores in files."""
    pytest.importorskip("onnx")
    root = tmp_path_factory.mktemp("reliability")
    write_space(root / "colours.json")
    write_space(root / "warmth.json", ("warm", "cool"))
    (root / "warm.toml").write_text('[map]\nred = "warm"\ngreen = "cool"\nblue = "cool"\n')
    write_domain(root / "day", 12)
    write_domain(root / "night", 5, first=50, hot=2.0, values=(0, 1, 1))
    write_network(root / "fair.onnx", 1.0)
    write_network(root / "loud.onnx", 3.0)
    return root


def models(world, *names):
    more = f"?space={world / 'colours.json'}&input-scale=0-1"
    return [word for name in names for word in ("--model", f"{name}={world / name}.onnx{more}")]


def day(world):
    return ("--data", data("day", world / "day", world / "colours.json"))


def night(world, more=""):
    text = data("night", world / "night", world / "warmth.json", f"&class-map={world / 'warm.toml'}{more}")
    return ("--data", text)


def test_two_models_over_three_domains(world, tmp_path):
    found = answer(
        "reliability", *day(world), *night(world), "--corrupt", "gaussian_noise:5",
        *models(world, "fair", "loud"), *FEW, "--out", tmp_path / "run",
    )  # fmt: skip
    table = cells(found)
    places = [(m, d) for m in ("fair", "loud") for d in ("day", "night", "day gaussian_noise 5")]
    assert list(table) == places
    assert table["fair", "day"]["metrics"]["ece"] < 0.03
    assert table["loud", "day"]["metrics"]["ece"] > 0.1
    for domain in ("day", "night", "day gaussian_noise 5"):
        a, b = (table[model, domain]["metrics"] for model in ("fair", "loud"))
        if domain != "night":  # where probabilities of two channels are summed
            assert (a["mean_iou"], a["accuracy"]) == (b["mean_iou"], b["accuracy"]), "the same winners"
        assert table["fair", domain]["images"] == (5 if domain == "night" else 12)
    # the map sums two channels; labels there are noisier than the network believes
    assert table["fair", "night"]["relative"]["ece"] > 2
    assert "overconfident" in table["fair", "night"]["sentence"]
    assert "Under gaussian_noise 5" in table["fair", "day gaussian_noise 5"]["sentence"]
    assert table["loud", "day"]["intervals"]["ece"][0] < table["loud", "day"]["metrics"]["ece"]
    assert 0 <= table["fair", "night"]["ood_images"]["entropy"]["auroc"] <= 1


def test_the_run_holds_page_tables_and_pictures(world, tmp_path):
    out = tmp_path / "run"
    result = run_cli("reliability", *day(world), *night(world), *models(world, "loud"), *FEW, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "a stated 0.9 is right" in result.output
    assert "report.html" in result.stdout
    assert (out / "report.html").stat().st_size > 5000
    summary = json.loads((out / "summary.json").read_text())
    assert [d["name"] for d in summary["domains"]] == ["day", "night"]
    assert [d["source"] for d in summary["domains"]] == [True, False]
    rows = pq.read_table(out / "images.parquet").to_pylist()
    assert sorted({(r["domain"], r["image_id"]) for r in rows})[0] == ("day", "p000")
    assert len(rows) == 17
    pixels = sum(r["pixels"] for r in rows if r["domain"] == "day")
    assert pixels == summary["cells"][0]["pixels"] == 12 * 22 * 32
    for cell in summary["cells"]:
        assert len(cell["worst"]) == 1
        assert (out / cell["worst"][0]["picture"]["src"]).is_file()
    assert json.loads((out / "run.json").read_text())["status"] == "done"


def test_scores_in_files_say_what_the_network_says(world, tmp_path):
    by_file = answer(
        "reliability", *day(world), *night(world), "--scores", f"day={world / 'day/scores'}?model=loud",
        "--scores", f"night={world / 'night/scores'}?model=loud&space={world / 'colours.json'}",
        *FEW, "--out", tmp_path / "files",
    )  # fmt: skip
    by_network = answer(
        "reliability", *day(world), *night(world), *models(world, "loud"), *FEW, "--out", tmp_path / "net"
    )
    for place, cell in cells(by_network).items():
        other = cells(by_file)[place]
        assert other["pixels"] == cell["pixels"]
        for name, value in cell["metrics"].items():
            assert other["metrics"][name] == pytest.approx(value, abs=1e-4), (place, name)


def test_own_kind_and_map_of_each_folder_of_scores(world, tmp_path):
    """The second folder holds probabilities in the classes of the labels; the first logits of the model."""
    for path in sorted((world / "night/scores").glob("*.npy")):
        z = np.load(path)
        p = np.exp(z - z.max(0))
        p /= p.sum(0)
        (tmp_path / "p").mkdir(exist_ok=True)
        np.save(tmp_path / "p" / path.name, np.stack([p[0], p[1] + p[2]]))
    found = answer(
        "reliability", *day(world), "--data", data("night", world / "night", world / "warmth.json"),
        "--scores", f"day={world / 'day/scores'}?kind=logits",
        "--scores", f"night={tmp_path / 'p'}?kind=probabilities", *FEW, "--out", tmp_path / "run",
    )  # fmt: skip
    mapped = answer("reliability", *night(world), *models(world, "loud"), *FEW, "--out", tmp_path / "net")
    one, other = cells(found)["scores", "night"], cells(mapped)["loud", "night"]
    assert one["metrics"]["nll"] == pytest.approx(other["metrics"]["nll"], rel=1e-3)
    assert "max_logit" not in (one["ood_images"] or {})


def test_calibrators_of_all_models_and_of_one(world, tmp_path):
    from dubio import LogitSample, TemperatureScaling

    from ..jobs.helpers import draw, logits

    image, label = draw(900, (120, 120))
    rows = logits(image, 3.0).reshape(3, -1).T[240:]
    sample = LogitSample(
        rows, label.reshape(-1)[240:].astype(np.uint16), np.zeros(len(rows), np.int32), ("a",), 3
    )
    TemperatureScaling().fit(sample).save(tmp_path / "t.json")
    more = f"?space={world / 'colours.json'}&input-scale=0-1"
    calibrated = ("--model", f"tempered={world / 'loud.onnx'}{more}&calibrator={tmp_path / 't.json'}")
    found = cells(
        answer(
            "reliability", *day(world), *models(world, "fair", "loud"), *calibrated, *FEW,
            "--out", tmp_path / "one",
        )
    )  # fmt: skip
    ece = {m: found[m, "day"]["metrics"]["ece"] for m in ("fair", "loud", "tempered")}
    assert ece["tempered"] < ece["loud"] / 3
    assert ece["tempered"] == pytest.approx(ece["fair"], abs=0.01)
    every = cells(
        answer(
            "reliability", *day(world), *models(world, "loud"), "--calibrator", tmp_path / "t.json", *FEW,
            "--out", tmp_path / "all",
        )
    )  # fmt: skip
    assert every["loud", "day"]["metrics"] == found["tempered", "day"]["metrics"]
    files = cells(
        answer(
            "reliability", *day(world), "--scores", f"{world / 'day/scores'}",
            "--calibrator", tmp_path / "t.json", *FEW, "--out", tmp_path / "files",
        )
    )  # fmt: skip
    assert files["scores", "day"]["metrics"]["ece"] == pytest.approx(ece["tempered"], abs=1e-4)


def test_fail_over_is_status_1_after_the_report(world, tmp_path):
    args = ("reliability", *day(world), *models(world, "loud"), *FEW, "--out", tmp_path / "run")
    found = answer(*args, "--fail-over", "0.05", status=1)
    assert found["cells"][0]["metrics"]["ece"] > 0.05
    assert (tmp_path / "run/report.html").is_file()
    answer(*args, "--fail-over", "0.9")


def test_scores_and_bins_can_be_chosen(world, tmp_path):
    out = tmp_path / "run"
    answer("reliability", *day(world), *models(world, "loud"), "--rank-by", "entropy", "--bins", "5",
           "--not-learned", *FEW, "--out", out)  # fmt: skip
    cell = json.loads((out / "summary.json").read_text())["cells"][0]
    assert set(cell["misclassification"]) == {"max_prob", "entropy"}
    assert len(cell["reliability"]) <= 5


def test_bad_input_is_one_sentence_and_status_2(world, tmp_path):
    out, good = ("--out", tmp_path / "run"), (*day(world), *models(world, "loud"))
    space = world / "colours.json"
    for args, words in (
        (models(world, "loud"), "no data are given"),
        (day(world), "no model is given"),
        (("--data", data("x", tmp_path / "none", space), *models(world, "loud")), "none"),
        (("--data", f"x={world / 'day/images'}?label-space={space}", *models(world, "loud")), "day/images"),
        ((*good, *day(world)), "two domains are called 'day'"),
        ((*good, *models(world, "loud")), "two models are called 'loud'"),
        ((*good, "--corrupt", "sandstorm:3"), "there is no corruption 'sandstorm'"),
        ((*good, "--corrupt", "fog:9"), "9"),
        (("--data", data("x", world / "day", space, "&unknown=lilac"), *models(world, "loud")), "lilac"),
        (("--data", data("x", world / "day", space, "&condition=fog"), *models(world, "loud")), "condition"),
        ((*good, "--by", "weather"), "no image of"),
        ((*good, "--features", "--feature-layer", "nowhere"), "nowhere"),
        ((*good, "--calibrator", world / "warm.toml"), "is no saved calibrator"),
        ((*day(world), "--model", f"{world / 'loud.onnx'}?depth=3"), "no option 'depth'"),
        ((*day(world), "--scores", f"dusk={world / 'day/scores'}"), "there are no data 'dusk'"),
        ((*day(world), *night(world), "--scores", f"day={world / 'day/scores'}"), "add --scores night="),
        ((*day(world), *night(world), "--scores", f"{world / 'day/scores'}"), "say whose scores"),
        ((*day(world), "--corrupt", "fog:1", "--scores", f"{world / 'day/scores'}"), "can't be corrupted"),
        ((*day(world), "--features", "--scores", f"{world / 'day/scores'}"), "have no features"),
        ((*day(world), "--scores", f"{world / 'day/labels'}"), "labels"),
    ):
        assert words in complaint("reliability", *args, *out), args


def test_data_without_labels_are_refused(world, tmp_path):
    from shutil import copytree

    copytree(world / "day/images", tmp_path / "bare/images")
    (tmp_path / "bare/labels").mkdir()
    text = data("bare", tmp_path / "bare", world / "colours.json")
    assert "label" in complaint(
        "reliability", "--data", text, *models(world, "loud"), "--out", tmp_path / "run"
    )


def test_a_label_space_of_other_classes_needs_a_map(world, tmp_path):
    text = data("night", world / "night", world / "warmth.json")
    said = complaint("reliability", "--data", text, *models(world, "loud"), "--out", tmp_path / "run")
    assert "no namesake in 'warmth'" in said
    assert "class map" in said


def test_distances_to_known_features(world, tmp_path):
    out = tmp_path / "run"
    answer(
        "reliability", *day(world), *night(world), *models(world, "loud"), "--features", *FEW, "--out", out
    )
    summary = json.loads((out / "summary.json").read_text())
    assert {"standardized_max_logit", "mahalanobis", "knn"} <= set(summary["scores"])
    cell = next(c for c in summary["cells"] if c["domain"] == "night")
    assert 0 <= cell["ood_images"]["mahalanobis"]["auroc"] <= 1
    assert cell["misclassification"]["knn"]["auroc"] is not None
