# make demo   install, fetch the sample data and run the whole pipeline on it
# make test   install if needed and run the tests; make test-slow runs those that take long
# make fuzz       mutated input for every parser: make fuzz CASES=100000
# make chaos      strike the whole pipeline with random faults, half an hour: make chaos TIMES=50 SEED=0
# make licences   every package that is installed, with its licence
# make sbom       the same as a CycloneDX file, sbom.json
# make audit      known vulnerabilities of the pinned packages; asks the network
# Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PULLED := .naslora/pulled
TRACKED := data models/sam_tiny.safetensors

CASES ?= 10000
TIMES ?= 50
SEED ?= 0

.PHONY: demo test test-slow setup lint fuzz chaos licences sbom audit
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

fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz --cases $(CASES)

chaos: $(INSTALLED)
	$(BIN)/python -m tests.chaos.faults --times $(TIMES) --seed $(SEED)

licences: $(INSTALLED)
	@$(BIN)/python -m tools.inventory licences

sbom: $(INSTALLED)
	$(BIN)/python -m tools.inventory sbom > sbom.json

# In an environment of its own, so that what audits is not what is audited.
audit: constraints.txt
	$(PYTHON) -m venv .naslora/audit
	.naslora/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.naslora/audit/bin/pip-audit --no-deps --disable-pip --requirement constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "error: naslora needs Python 3.10 to 3.13; choose one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Outside of a repository DVC refuses every command before it is told; naslora run takes the setting back once there is one.
$(PULLED): | $(INSTALLED)
	@git rev-parse --git-dir >/dev/null 2>&1 || $(BIN)/dvc config --quiet --local core.no_scm true
	$(BIN)/dvc pull $(TRACKED:=.dvc)
	@mkdir -p $(@D) && touch $@

# Fetch again what has been deleted; what has been edited stays as it is.
ifneq ($(words $(wildcard $(TRACKED))), $(words $(TRACKED)))
.PHONY: $(PULLED)
endif
