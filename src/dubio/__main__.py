"""``python -m dubio`` is ``dubio``."""

from dubio.cli.main import main

main(prog_name="dubio")
