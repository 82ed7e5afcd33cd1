"""All domains of equal classes together, as one more row of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dubio.data.domains import Domain
from dubio.jobs.examine import read_state
from dubio.reliability.table import DomainStates, cell_of

NAME = "all together"
Shards = Mapping[tuple[str, str], Sequence[tuple[str, Path]]]


def pooled_domains(domains: Sequence[Domain]) -> list[Domain]:
    """The domains that can be pooled: not corrupted, and with the classes of the first."""
    first = domains[0].dataset.space.names
    plain = [d for d in domains if d.corruption is None and d.dataset.space.names == first]
    return plain if len(plain) > 1 and all(d.name != NAME for d in domains) else []


def pool(
    shards: Shards, models: Sequence[str], domains: Sequence[Domain], *, replicates: int, seed: int
) -> list[dict[str, Any]]:
    """Figures of each model on all pixels of some domains, counted together.

    Args:
        shards: image ids and states by model and domain.
        models: names of the models.
        domains: what :func:`pooled_domains` found.
        replicates: of the bootstrap over images.
        seed: its seed.
    """
    cells = []
    # a class that is left out somewhere can't be compared over all
    leave_out = tuple(sorted({c for d in domains for c in d.leave_out}))
    for model in models:
        states = DomainStates(model, NAME, leave_out, replicates > 0)
        for domain in domains:
            for image_id, path in shards.get((model, domain.name), ()):
                states.add(f"{domain.name}/{image_id}", read_state(path))
        if states.total is not None:
            names = domains[0].dataset.space.names
            cells.append(cell_of(states, names, replicates=replicates, seed=seed))
    return cells
