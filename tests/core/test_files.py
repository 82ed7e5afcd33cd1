"""Safe writing of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.core.files import write_npz


def test_arrays_are_written_whole_and_never_as_a_pickle(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"x": np.arange(3), "word": "yes"})
    with np.load(path, allow_pickle=False) as found:
        assert found["x"].tolist() == [0, 1, 2]
        assert str(found["word"]) == "yes"
    with pytest.raises(ValueError, match="without a pickle"):
        write_npz(path, {"x": np.array([object()])})
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    with np.load(path, allow_pickle=False) as found:
        assert found["x"].tolist() == [0, 1, 2]
