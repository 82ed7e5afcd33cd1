# Everything sets up its own environment in .venv; nothing but Python >= 3.11 and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt

.PHONY: demo test check format docs bench constraints clean help

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/uv
	$(UV) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.core
	$(UV) --editable '.[all,test,docs]'
	@touch $@

demo: $(VENV)/.core  ## the tour on synthetic scenes; ends in a report
	$(BIN)/dubio demo --out demo

test: $(VENV)/.test  ## all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.test  ## lint, types, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site

format: $(VENV)/.test  ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test  ## documentation at http://127.0.0.1:8000
	$(BIN)/mkdocs serve

bench: $(VENV)/.test  ## measure the claims on speed and quality
	$(UV) --editable '.[bench]'
	$(BIN)/python benchmarks/regions.py
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/reviewed.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/reliability_speed.py
	$(BIN)/python benchmarks/box_decoding.py
	$(BIN)/python benchmarks/claims.py

constraints: $(BIN)/uv  ## renew the pinned versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --upgrade \
		--no-header --no-annotate pyproject.toml --output-file constraints.txt

clean:  ## remove what was built
	rm -rf $(VENV) site demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
