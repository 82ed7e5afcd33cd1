"""Files that are not what they should be: one sentence each, and the run stays as it was."""

from __future__ import annotations

import shutil
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dubio import InputError
from dubio.handover.audit_run import open_run
from dubio.jobs.handover import export_run
from dubio.jobs.verdicts import import_verdicts

TOOLS = ("coco", "cvat", "label-studio", "fiftyone", "csv")


XML = (
    '<?xml version="1.0"?>{}<annotations><image name="im_000.a.png" width="{}" height="72">{}</image>'
    "</annotations>"
)
BAD = {
    "entities.xml": XML.format('<!DOCTYPE x [<!ENTITY a "b">]>', 96, "&a;"),
    "size.xml": XML.format("", "x", '<polygon label="box" points="1,1;2,2;3,1"/>'),
    "rle.xml": XML.format("", 96, '<mask label="box" rle="9999" left="0" top="0" width="4" height="4"/>'),
    "video.xml": "<annotations><track/></annotations>",
    "other.xml": "<html/>",
    "cut.xml": "<annotations><image",
    "not.zip": "no archive",
    "list.json": "[1, 2]",
    "min.json": '[{"image": "x", "class": []}]',
    "cut.json": '{"images": [',
    "coco.json": '{"images": [{"id": 1}], "annotations": []}',
    "task.json": '[{"data": {"image": "x"}, "annotations": [{"result": [{"type": "brushlabels"}]}]}]',
    "fo.json": '{"samples": [{"findings": {"detections": [{}]}}]}',
    "columns.csv": "a,b\n1,2\n",
    "words.csv": "finding,image_id,verdict\n1,im_000.a,perhaps\n",
    "empty.csv": "",
    "strange.txt": "x",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_get_one_sentence(toy, tmp_path, name):
    (tmp_path / name).write_text(BAD[name])
    before = (toy.run / "findings.parquet").read_bytes()
    with pytest.raises(InputError) as caught:
        import_verdicts(toy.run, [tmp_path / name])
    assert "\n" not in str(caught.value)
    assert (toy.run / "findings.parquet").read_bytes() == before
    assert not (toy.run / "verdicts.json").exists()


@pytest.mark.parametrize("tool", TOOLS)
def test_truncated_and_damaged_files_never_trace_back(audited, tmp_path_factory, tool):
    home = tmp_path_factory.mktemp("fuzz")
    run = home / "run"
    shutil.copytree(audited.run, run)
    done = export_run(run, tool, home / "o")
    count = len(open_run(run).findings)
    data = (home / "o" / done.files[0]).read_bytes()
    file = home / f"f{(home / 'o' / done.files[0]).suffix}"

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(data)), st.binary(max_size=4))
    def check(at, noise):
        file.write_bytes(data[:at] + noise + (data[at + 4 :] if len(noise) == 4 else b""))
        with suppress(InputError):
            import_verdicts(run, [file], tool=tool)
        assert len(open_run(run).findings) == count

    check()
