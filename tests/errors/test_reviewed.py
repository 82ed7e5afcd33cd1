"""Verdicts of an earlier audit improve the next one."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from dubio import InputError
from dubio.errors.choose import choose
from dubio.errors.finder import find
from dubio.errors.reviewed import EVIDENCE, place_verdicts, read_reviewed, write_evidence
from dubio.errors.verdicts import Verdict, write_verdicts

from ..toy import SPACE
from .test_finder import faulty, work_of

N = 24


@pytest.fixture(scope="module")
def audit():
    """Images of which every third lacks its largest box; their findings and which are true."""
    works, holes = [], {}
    for seed in range(N):
        label, hole = faulty(seed) if seed % 3 == 0 else (None, None)
        works.append(work_of(seed, label))
        if hole is not None:
            holes[works[-1].image_id] = hole
    found = find(works, folds=3)
    findings = choose(works, found, SPACE)
    true = []
    for f in findings:
        hole = holes.get(f.image_id)
        mask = f.mask()
        true.append(hole is not None and (mask & (hole > 0)).sum() > 0.5 * (mask | (hole > 0)).sum())
    return works, found, findings, true


def judge(folder, audit, numbers):
    works, _, findings, true = audit
    folder.mkdir(exist_ok=True)
    chosen = [(f, t) for f, t in zip(findings, true, strict=True) if f.finding in numbers]
    verdicts = [
        Verdict(f.finding, f.image_id, f.x0, f.y0, f.x1, f.y1, f.kind, "accepted" if t else "rejected")
        for f, t in chosen
    ]
    write_evidence(folder / EVIDENCE, works, findings)
    write_verdicts(folder / "verdicts.json", verdicts, findings)
    return chosen


def test_judged_places_are_known_next_time(audit, tmp_path):
    works, _, _, true = audit
    assert sum(true) >= 5
    chosen = judge(tmp_path / "run", audit, set(range(1, 13)))
    reviewed = read_reviewed([tmp_path / "run"])
    assert len(reviewed) == len(chosen)
    again = find(works, folds=3, reviewed=reviewed)
    listed = choose(works, again, SPACE)
    places = {(f.image_id, f.x0, f.y0, f.x1, f.y1): f for f in listed}
    for f, wrong in chosen:
        now = places.get((f.image_id, f.x0, f.y0, f.x1, f.y1))
        if wrong:
            assert now is not None
            assert now.verdict == "accepted"
            assert now.probability == pytest.approx(0.99)
        else:
            assert now is None
    assert all(f.verdict is None for f in listed if f.probability < 0.98)


def test_expected_number_follows_the_verdicts(audit, tmp_path):
    works, found, findings, _ = audit
    chosen = judge(tmp_path / "run", audit, {f.finding for f in findings})
    again = find(works, folds=3, reviewed=read_reviewed([tmp_path / "run"]))
    truth = sum(wrong for _, wrong in chosen)
    mean, low, high = again.expected()
    assert low <= mean + 1e-3
    assert mean <= high + 1e-3
    # everything listed was judged: what is left is next to nothing
    assert truth <= mean <= truth + 3
    assert abs(mean - truth) <= abs(found.expected()[0] - truth)


def test_regions_found_wrong_teach_no_longer_as_good_ones(audit, tmp_path):
    works, _, findings, _ = audit
    judge(tmp_path / "run", audit, {f.finding for f in findings})
    decided = place_verdicts(read_reviewed([tmp_path / "run"]), works)
    from dubio.errors.reviewed import wrong_rows

    assert sum(any(d.values()) for d in decided) >= 5
    taken = [wrong_rows(w, d) for w, d in zip(works, decided, strict=True)]
    assert sum(int(t.sum()) for t in taken) > 0
    assert all(not t.any() for t, d in zip(taken, decided, strict=True) if not any(d.values()))


def test_the_order_of_images_and_folders_without_verdicts(audit, tmp_path):
    works, _, _, _ = audit
    judge(tmp_path / "run", audit, set(range(1, 9)))
    reviewed = read_reviewed([tmp_path / "run"])
    a = choose(works, find(works, folds=3, reviewed=reviewed), SPACE)
    b = choose(works[::-1], find(works[::-1], folds=3, reviewed=reviewed), SPACE)
    assert [(f.image_id, f.x0, f.y0) for f in a] == [(f.image_id, f.x0, f.y0) for f in b]
    (tmp_path / "run" / "verdicts.json").unlink()
    with pytest.raises(InputError, match="dubio import"):
        read_reviewed([tmp_path / "run"])
    with pytest.raises(InputError, match="no audit"):
        read_reviewed([tmp_path])


def test_evidence_of_judged_places_outlives_the_list(audit, tmp_path):
    works, _, findings, _ = audit
    judge(tmp_path / "run", audit, {1, 2, 3})
    from dubio.errors.verdicts import read_verdicts

    judged = read_verdicts(tmp_path / "run" / "verdicts.json")
    write_evidence(tmp_path / "run" / EVIDENCE, works, findings[5:], judged)
    assert len(read_reviewed([tmp_path / "run"])) == 3
    assert pq.read_table(tmp_path / "run" / EVIDENCE).num_rows == len(findings) - 2


def test_damaged_evidence_is_named(audit, tmp_path):
    judge(tmp_path / "run", audit, {1})
    (tmp_path / "run" / EVIDENCE).write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="evidence"):
        read_reviewed([tmp_path / "run"])
    (tmp_path / "run" / "verdicts.json").write_text(json.dumps({"format": 9}))
    with pytest.raises(InputError):
        read_reviewed([tmp_path / "run"])
