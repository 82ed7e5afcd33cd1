"""The command line: each command is a file beside this one and is loaded only when called."""

from __future__ import annotations

import importlib

import click

# command -> (module, one line of help); the line is here so that --help imports nothing else
COMMANDS = {
    "demo": ("demo", "The whole tour on scenes that come with it; ends in a report."),
    "audit": ("audit", "Find the label errors of a data set, in masks or boxes."),
    "reliability": ("reliability", "Can I trust this model here? Accuracy, calibration, OOD over domains."),
    "calibrate": ("calibrate", "Fit calibrators, and say where they help and where they don't."),
    "extract": ("extract", "Sample logits with their labels, and features, for fitting and comparing."),
    "benchmark": ("benchmark", "Plant known label errors, and score lists that were made on them."),
    "export": ("export", "Hand findings over: corrected masks, annotation tools, tables."),
    "import": ("import_", "Read verdicts on findings back from files and annotation tools."),
    "predict": ("predict", "Run a model: region table and uncertainty maps, or scores."),
    "train": ("train", "Train a model."),
    "validate": ("validate", "What does this detector find, and are its uncertainties true?"),
    "decodings": ("decodings", "Compare the ways to decode a detector's localisation uncertainty."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module ``dubio.cli.NAME`` and return its ``command``."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"dubio.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dubio", message="dubio %(version)s")
def main() -> None:
    """Find out which labels are wrong and how far a model can be trusted."""
