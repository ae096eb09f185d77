# make demo   install, fetch the sample data and run the whole pipeline on it
# make test   install if needed and run the tests; make test-slow runs those that take long
# Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PULLED := .naslora/pulled
TRACKED := data models/sam_tiny.safetensors

.PHONY: demo test test-slow setup lint
.DELETE_ON_ERROR:

demo: $(PULLED)
	$(BIN)/naslora run

test: $(PULLED)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: $(PULLED)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m slow

setup: $(INSTALLED)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "error: naslora needs Python 3.10 to 3.13; choose one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(PULLED): | $(INSTALLED)
	$(BIN)/dvc pull $(TRACKED:=.dvc)
	@mkdir -p $(@D) && touch $@

# Fetch again what has been deleted; what has been edited stays as it is.
ifneq ($(words $(wildcard $(TRACKED))), $(words $(TRACKED)))
.PHONY: $(PULLED)
endif
