"""The page of a training run: one run or all folds, whole from the first epoch on."""

from __future__ import annotations

import json
import re

import pytest

from dubio.core.errors import InputError
from dubio.report.training_page import read_curves, write_training_page

HEAD = "epoch,step,lr,train_loss,val_loss,val_ap,val_ap50"


def curves(folder, *rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curves.csv").write_text("\n".join((HEAD, *rows)) + "\n")
    return folder


def payload(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_page_tells_the_best_epoch(tmp_path):
    rows = ("1,4,0.001,9,5,0.1,0.2", "2,8,0.0005,3,2,0.4,0.6", "3,12,0,2.5,2.1,0.35,0.5")
    page = payload(write_training_page(curves(tmp_path, *rows), "cells"))
    assert page["headline"] == "AP 0.400 on validation images, in epoch 2 of 3."
    assert page["runs"][0]["best"]["epoch"] == 2
    assert page["sentences"] == []
    assert [row["train_loss"] for row in page["runs"][0]["rows"]] == [9, 3, 2.5]


def test_a_last_epoch_that_is_best_asks_for_more(tmp_path):
    rows = [f"{k},4,0.001,9,5,{k / 10},0.9" for k in (1, 2, 3)]
    page = payload(write_training_page(curves(tmp_path, *rows), "cells"))
    assert page["sentences"] == ["The best epoch is the last: more epochs may reach more."]


def test_undefined_figures_are_gaps(tmp_path):
    page = payload(write_training_page(curves(tmp_path, "1,4,0.001,9,5,nan,nan", "2,8,0,3,,nan,"), "cells"))
    assert page["runs"][0]["rows"][1]["val_loss"] is None
    assert page["runs"][0]["best"] is None
    assert "the last weights are kept" in page["headline"]


def test_folds_stand_on_one_page_in_their_order(tmp_path):
    for fold in (10, 2, 0):
        curves(tmp_path / "folds" / str(fold), f"1,4,0.001,9,5,{fold / 100},0.2")
    curves(tmp_path / "folds" / "notes", "1,4,0.001,9,5,0.9,0.9")
    page = payload(write_training_page(tmp_path, "cells"))
    assert [run["name"] for run in page["runs"]] == ["fold 1", "fold 3", "fold 11"]
    assert page["headline"] == "AP 0.000 to 0.100 on the validation images of 3 folds."


def test_names_can_hold_anything(tmp_path):
    path = write_training_page(
        curves(tmp_path, "1,4,0.001,9,5,0.1,0.2"), "</script><img src=x onerror=alert(1)>"
    )
    assert "<img src=x" not in path.read_text(encoding="utf-8")


def test_faults_are_named(tmp_path):
    with pytest.raises(InputError, match=r"curves\.csv"):
        write_training_page(tmp_path, "cells")
    path = curves(tmp_path, "1,4,many,9,5,0.1,0.2") / "curves.csv"
    with pytest.raises(InputError, match="words where numbers"):
        read_curves(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="can't be read"):
        read_curves(path)
