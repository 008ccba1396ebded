# Every target that needs packages creates .venv if it is not there, and installs again only when the pins change.
PYTHON ?= python3
WORKERS ?= 2
ARGS ?=

# Threads that wait without spinning: on cores that other programs use too, spinning costs a factor of ten.
export OMP_WAIT_POLICY := PASSIVE

BIN := .venv/bin
PINS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo docs links test narrow lint types readme clean

help: ## Show this help
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

demo: .venv/.study ## Train the categorical VAE on real handwriting, about half a minute (ARGS="--help" shows the options)
	$(BIN)/drawgrad train $(ARGS)

test: .venv/.dev ## Run the whole test suite (ARGS="-k name" selects, ARGS=--cov measures what it covers)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# What compares numbers, where the processor offers its vectors neither to torch nor to Numba.
NARROW := tests/kernels/cpu/test_twins.py tests/kernels/cpu/test_scalar.py tests/kernels/test_reference.py \
	tests/functional/test_noise.py tests/functional/test_categorical.py tests/functional/test_binary.py \
	tests/functional/test_lookup.py

narrow: .venv/.dev ## Run the tests that compare numbers as on a processor without vector instructions
	ATEN_CPU_CAPABILITY=default NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES= OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest -q -n $(WORKERS) $(NARROW) -k "not compil and not graph"

docs: .venv/.docs ## Build the documentation site into build/docs; warnings are errors
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs build/docs
	@echo "open build/docs/index.html"

links: .venv/.dev ## Ask every address that texts and sources name whether it is still there; needs a network
	$(BIN)/python -m tools.links

clients: .venv/.clients ## Run the tests that need other packages' quantizers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/nn/test_clients.py

lint: .venv/.dev ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev ## Check types
	$(BIN)/mypy

readme: .venv/.dev ## Write the tables of README.md from the records in results/
	$(BIN)/python -m tools.render_readme

clean: ## Remove caches and build products; .venv, runs and results stay
	rm -rf build dist docs/api htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.study: $(PINS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[study]"
	touch $@

.venv/.docs: $(PINS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch .venv/.study $@

.venv/.dev: $(PINS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch .venv/.study .venv/.docs $@

.venv/.clients: .venv/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[clients]"
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "drawgrad needs Python 3.11 or later; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
