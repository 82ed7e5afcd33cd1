"""The curves of a detector's training run."""

from __future__ import annotations

import csv
import io
from typing import Any

from dubio.core.files import write_text
from dubio.models.train.callbacks import Curves

_COLUMNS = (
    *("epoch", "step", "lr", "train_loss", "train_class_loss", "train_box_loss"),
    *("val_loss", "val_class_loss", "val_box_loss", "val_ap", "val_ap50"),
)


class DetCurves(Curves):
    """Losses and AP of each epoch in a CSV file; they travel in the checkpoint."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Add a row."""
        found = {k: float(v) for k, v in trainer.callback_metrics.items()}
        row = {name: found[name] for name in _COLUMNS if name in found}
        row |= {
            "epoch": float(trainer.current_epoch + 1),
            "step": float(trainer.global_step),
            "lr": float(trainer.optimizers[0].param_groups[-1]["lr"]),
        }
        self.rows.append(row)
        if trainer.is_global_zero:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows([f"{r[name]:g}" if name in r else None for name in _COLUMNS] for r in self.rows)
            write_text(self.path, text.getvalue())
            self.reporter.epoch(row)
