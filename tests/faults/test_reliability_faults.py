"""What a user does to the commands on reliability and calibration that nobody wished for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dubio import (
    CalibrateOptions,
    FileCandidate,
    InputError,
    NetworkCandidate,
    load_model,
)
from dubio.jobs.calibrate import calibrate
from dubio.jobs.reliability import ReliabilityOptions, reliability

from ..jobs.helpers import (
    complaint,
    data,
    domain,
    run_cli,
    save,
    write_domain,
    write_network,
    write_space,
)
from . import makers
from .conftest import assert_plain, leftovers

FEW = ("--replicates", "5", "--worst", "1")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Eight pictures with labels and scores, their label space and a network."""
    pytest.importorskip("onnx")
    root = tmp_path_factory.mktemp("faults")
    write_space(root / "colours.json")
    write_domain(root / "day", 8)
    write_network(root / "net.onnx", 3.0)
    return root


def day(world, name="day", folder="day", more=""):
    return ("--data", data(name, world / folder, world / "colours.json", more))


def net(world, name="net"):
    place = f"{world / 'net.onnx'}?space={world / 'colours.json'}&input-scale=0-1"
    return ("--model", f"{name}={place}", "--device", "cpu")


def files(world):
    return FileCandidate("loud", {"day": world / "day/scores"})


def network(root):
    model = load_model(root / "net.onnx", space=root / "colours.json", input_scale="0-1", device="cpu")
    return NetworkCandidate("loud", model)


def refused(*args):
    """The sentence of a refusal, which is plain."""
    sentence = complaint(*args)
    assert_plain(sentence)
    return sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--pixels", "0"), "nothing can be fitted on 0 pixels"),
        (("--method", "magic"), "there is no method 'magic'"),
        (("--risk", "lilac:0.1"), "no class 'lilac'"),
        (("--risk", "red:0"), "0 of 'red' is no share"),
        (("--risk", "red:1"), "1 of 'red' is no share"),
        (("--risk", "red:nan"), "nan of 'red' is no share"),
        (("--risk", "red"), "'red' is no class and level"),
        (("--risk", "red:0.1", "--risk", "red:0.2"), "'red' has several levels"),
        (("--seed", str(2**70)), "is no seed"),
        (("--corrupt", "fog:1", "--corrupt", "fog:1"), "two domains are called 'day test fog 1'"),
        (("--fit", "day"), "all domains are fitted on"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_the_work(world, tmp_path, options, words):
    sentence = refused("calibrate", *day(world), *net(world), *FEW, *options, "--out", tmp_path / "run")
    assert words in sentence
    assert not list(tmp_path.rglob("*.npz")), "nothing was sampled"


@pytest.mark.parametrize(
    ("options", "words"), [(("--fail-over", "nan"), "no limit"), (("--bins", "1000000000"), "bins")]
)
def test_reliability_refuses_numbers_that_mean_nothing(world, tmp_path, options, words):
    assert words in refused("reliability", *day(world), *net(world), *options, "--out", tmp_path / "run")


def test_a_model_with_the_name_of_a_method_is_refused(world, tmp_path):
    """Figures are kept by name: the calibrated model was taken for the model as it is."""
    sentence = refused(
        "calibrate", *day(world), *net(world, "temperature"), "--method", "temperature",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert "two models are called 'temperature'" in sentence


def test_domains_and_models_of_one_name_are_refused_from_python(world, tmp_path):
    few = ReliabilityOptions(replicates=0, worst=0)
    one = domain(world / "day", "day", space="../colours.json")
    for domains, models in (([one, one], [files(world)]), ([one], [files(world), files(world)])):
        with pytest.raises(InputError, match=r"two \w+ are called"):
            reliability(domains, models, tmp_path / "run", few)


def test_the_same_images_by_another_way_are_not_judged(world, tmp_path):
    (tmp_path / "link").symlink_to(world / "day")
    other = tmp_path / "other"
    (other / "labels").mkdir(parents=True)
    (other / "images").symlink_to(world / "day/images")
    for path in (world / "day/labels").iterdir():
        (other / "labels" / path.name).write_bytes(path.read_bytes())
    space = world / "colours.json"
    for place in (world / "day/../day", tmp_path / "link", other):
        sentence = refused(
            "calibrate", *day(world), "--data", data("again", place, space), "--fit", "day", *net(world),
            "--out", tmp_path / "run",
        )  # fmt: skip
        assert "is in 'day', which is fitted on, and in 'again', which is judged" in sentence


def test_copies_of_an_image_are_no_further_images_for_a_promise(world, tmp_path):
    """Nine copies of an image are one draw: a level of 0.1 needs nine images."""
    options = CalibrateOptions(methods=("temperature",), pixels=100, augment=4, risks=(("red", 0.1),))
    few = ReliabilityOptions(replicates=0, worst=0)
    fit = domain(world / "day", "fit", space="../colours.json")
    test = domain(write_domain(tmp_path / "test", 2, first=30), space=world / "colours.json")
    found = calibrate(network(world), [fit], [test], tmp_path / "run", options, few)
    (said,) = (s for s in found.sentences if s.startswith("red"))
    assert "no threshold can promise" in said


def test_names_of_classes_are_no_paths(tmp_path):
    pytest.importorskip("onnx")
    write_space(tmp_path / "colours.json", ("road/lane", "../../out", "a:b"))
    write_domain(tmp_path / "day", 8)
    write_network(tmp_path / "net.onnx")
    risks = [word for name in ("road/lane", "../../out", "a:b") for word in ("--risk", f"{name}:0.5")]
    out = tmp_path / "deep/run"
    result = run_cli(
        "calibrate", *day(tmp_path), *net(tmp_path), *FEW, "--method", "temperature", *risks, "--out", out
    )
    assert result.exit_code == 0, result.output
    found = {path.name for path in (out / "calibrators").iterdir()}
    assert found == {"temperature.json", "risk-road_lane.npz", "risk-_.._out.npz", "risk-a_b.npz"}


def test_extracted_samples_of_two_domains_never_meet_in_one_folder(world, tmp_path):
    out = ("--out", tmp_path / "run")
    sentence = refused("extract", *day(world, "a:b"), *day(world, "a;b"), *net(world), *out)
    assert "two domains are called 'a_b'" in sentence
    assert "can't be sampled" in refused("extract", *day(world), *net(world), "--pixels", "0", *out)


def test_a_calibrator_that_is_none_is_named(world, tmp_path):
    fitted = run_cli(
        "calibrate", *day(world), *net(world), *FEW, "--method", "temperature", "--method", "isotonic",
        "--risk", "red:0.5", "--out", tmp_path / "run",
    )  # fmt: skip
    assert fitted.exit_code == 0, fitted.output
    folder = tmp_path / "run/calibrators"
    spoilt = []
    for path in (folder / "temperature.json", folder / "isotonic.npz"):
        for fault in (makers.truncate, makers.empty, makers.text, makers.bare_pickle, makers.folder):
            place = tmp_path / f"{path.stem}-{fault.__name__}{path.suffix}"
            place.write_bytes(path.read_bytes())
            fault(place)
            spoilt.append(place)
    negative = json.loads((folder / "temperature.json").read_text())
    for number, value in enumerate((-1.0, 0.0, "x", None)):
        negative["state"]["temperature"] = value
        place = tmp_path / f"temperature-{number}.json"
        place.write_text(json.dumps(negative))
        spoilt.append(place)
    for place in (*spoilt, folder / "risk-red.npz", tmp_path / "nowhere.json", world / "net.onnx"):
        sentence = refused(
            "reliability", *day(world), *net(world), "--calibrator", place, "--out", tmp_path / "other"
        )
        assert str(place) in sentence
    assert not os.path.exists("pickle-was-loaded")


def test_calibrators_of_an_earlier_run_do_not_stay(world, tmp_path):
    """They may have been fitted on other images."""
    options = ("calibrate", *day(world), *net(world), *FEW, "--out", tmp_path / "run")
    first = ("--method", "temperature", "--risk", "red:0.5", "--fit-corrupt", "fog:1")
    assert run_cli(*options, *first).exit_code == 0
    assert run_cli(*options, "--method", "vector").exit_code == 0
    assert [p.name for p in (tmp_path / "run/calibrators").iterdir()] == ["vector.json"]
    assert [p.name for p in (tmp_path / "run/logits").iterdir()] == ["00"]


def test_pictures_of_an_earlier_run_do_not_stay(world, tmp_path):
    options = ("reliability", *day(world), *net(world), *FEW, "--out", tmp_path / "run")
    assert run_cli(*options, "--corrupt", "fog:1", "--corrupt", "snow:1").exit_code == 0
    assert len(list((tmp_path / "run/pictures").iterdir())) == 3
    assert run_cli(*options).exit_code == 0
    (left,) = (tmp_path / "run/pictures").iterdir()
    assert left.name in (tmp_path / "run/report.html").read_text()


def test_what_can_not_be_judged_does_not_pass(tmp_path):
    pytest.importorskip("onnx")
    write_space(tmp_path / "colours.json")
    write_domain(tmp_path / "void", 2)
    for path in (tmp_path / "void/labels").iterdir():
        save(path, np.full((24, 32), 255, np.uint8))
    write_network(tmp_path / "net.onnx")
    options = ("reliability", *day(tmp_path, "void", "void"), *net(tmp_path), *FEW, "--out", tmp_path / "run")
    assert run_cli(*options).exit_code == 0
    assert run_cli(*options, "--fail-over", "0.5").exit_code == 1


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_calibration_ends_as_if_nothing_had_happened(world, tmp_path):
    options = (
        "calibrate", *day(world), *net(world), *FEW, "--corrupt", "noise:1", "--fit-corrupt", "contrast:2",
        "--method", "temperature", "--method", "isotonic", "--workers", "1",
    )  # fmt: skip
    assert run_cli(*options, "--out", tmp_path / "whole").exit_code == 0
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "dubio", *map(str, options), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(out.glob("parts/examine-*/*.npz")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert not (out / "summary.json").exists(), "killed before the end"
    assert run_cli(*options, "--out", out).exit_code == 0
    whole, again = ((folder / "summary.json").read_text() for folder in (tmp_path / "whole", out))
    assert again == whole
    assert not leftovers(out)


def test_the_disk_is_full(world, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        for command in ("reliability", "calibrate"):
            sentence = refused(command, *day(world), *net(world), *FEW, "--out", tmp_path / command)
            assert "(File too large); free space or choose another place" in sentence
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not leftovers(tmp_path)


def test_features_of_few_images_are_announced_as_missing(world, tmp_path):
    result = run_cli("reliability", *day(world), *net(world), *FEW, "--features", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "fewer than 10 images to learn features from" in result.stderr


def test_many_domains_are_not_all_told(world, tmp_path):
    result = run_cli(
        "reliability", *day(world), *net(world), *FEW, "--corrupt", "all:1", "--out", tmp_path / "run"
    )
    assert result.exit_code == 0, result.output
    assert result.stderr.count("a stated 0.9") < 16
    assert "… and 8 more domains" in result.stderr
