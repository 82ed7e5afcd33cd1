"""What happens around the epochs: seeds, curves, progress and the weights of a stopped run."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import torch

from dubio.core.files import write_text
from dubio.core.seeds import derive_seed

_COLUMNS = ("epoch", "step", "lr", "train_loss", "val_loss", "val_miou", "val_accuracy")


class Reporter(Protocol):
    """Somebody who shows the progress of a training run."""

    def step(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps are done."""
        ...

    def epoch(self, row: dict[str, float]) -> None:
        """An epoch has ended with these losses and metrics."""
        ...


class Silent:
    """A reporter that shows nothing."""

    def step(self, done: int, total: int) -> None:
        """Show nothing."""

    def epoch(self, row: dict[str, float]) -> None:
        """Show nothing."""


class SeedEpochs(pl.Callback):
    """Seed torch at the start of each epoch, so that a resumed run equals one that never stopped."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Seed by epoch and process."""
        torch.manual_seed(
            derive_seed(self.seed, f"epoch {trainer.current_epoch}", f"rank {trainer.global_rank}")
        )


class SeedSteps(pl.Callback):
    """Seed torch before each step, so that a resumed run drops out the same channels.

    A seed per epoch isn't enough: a resumed epoch draws its first number before the seed is set.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Seed by step and process."""
        torch.manual_seed(
            derive_seed(self.seed, f"step {trainer.global_step}", f"rank {trainer.global_rank}")
        )


class Curves(pl.Callback):
    """Keep losses and metrics of each epoch in a CSV file; they travel in the checkpoint.

    Args:
        path: the CSV file.
        columns: names of what is kept.
        group: the group of parameters whose learning rate is shown.
        reporter: is told each row, and each step.
    """

    def __init__(
        self, path: Path, reporter: Reporter, columns: tuple[str, ...] = _COLUMNS, group: int = 0
    ) -> None:
        self.path, self.reporter = path, reporter
        self.columns, self.group = columns, group
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Report a step."""
        if trainer.is_global_zero:
            self.reporter.step(int(trainer.global_step), int(trainer.estimated_stepping_batches))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Add a row."""
        found = {k: float(v) for k, v in trainer.callback_metrics.items()}
        row = {name: found[name] for name in self.columns if name in found}
        row |= {
            "epoch": float(trainer.current_epoch + 1),
            "step": float(trainer.global_step),
            "lr": float(trainer.optimizers[0].param_groups[self.group]["lr"]),
        }
        self.rows.append(row)
        if trainer.is_global_zero:
            write_text(self.path, _table(self.columns, self.rows))
            self.reporter.epoch(row)

    def state_dict(self) -> dict[str, Any]:
        """Plain data for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows of an earlier run."""
        self.rows = list(state_dict["rows"])


def _table(columns: tuple[str, ...], rows: list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [row.get(name) for name in columns]
        writer.writerow([None if c is None else f"{c:g}" for c in cells])
    return text.getvalue()


class SaveOnStop(pl.Callback):
    """Write the weights when the user stops the run.

    The run itself is taken up from its last finished epoch; these weights are for use as they are.

    Args:
        save: writes the network's checkpoint.
    """

    def __init__(self, save: Callable[[torch.nn.Module], None]) -> None:
        self.save = save

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Save on Ctrl-C, and when a scheduler ends the process."""
        if isinstance(exception, KeyboardInterrupt | SystemExit) and trainer.is_global_zero:
            self.save(pl_module.network)
