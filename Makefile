# make demo: see it work.   make test: everything a change must pass.   make help: the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $(name))))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test format lint types imports requirements trace pytest test-gpu kernels wheel bench bench-gpu clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "worker-orcd needs Python 3.11, 3.12 or 3.13 on the PATH"; exit 1; }
	@echo "==> setting up $(VENV) with $$($(PYTHON) --version) (once; downloads packages)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY) ## start a worker with the model on board and ask it for a haiku
	@$(BIN)/worker-orcd demo

test: format lint types imports requirements pytest wheel ## everything a change must pass
	@echo "==> all checks passed"

format: $(READY) ## is the code formatted?
	@echo "==> ruff format"
	@$(BIN)/ruff format --check .

lint: $(READY) ## ruff's rules
	@echo "==> ruff check"
	@$(BIN)/ruff check .

types: $(READY) ## strict types everywhere
	@echo "==> mypy --strict"
	@$(BIN)/mypy

imports: $(READY) ## do imports point inward?
	@echo "==> lint-imports"
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

requirements: $(READY) ## does a test name every requirement?
	@echo "==> requirements"
	@$(BIN)/python -m tools.trace --check

trace: $(READY) ## the table of requirements, their tests and how those went
	@$(BIN)/python -m tools.trace

pytest: $(READY) ## the tests that need no GPU
	@echo "==> pytest"
	@$(BIN)/pytest -m "not gpu"

kernels: $(READY) ## compile every kernel for every architecture (part of pytest; keeps them in build/kernels)
	@echo "==> kernels"
	@$(BIN)/pytest tests/backends/cuda/test_catalogue.py

test-gpu: $(READY) ## the tests that need an NVIDIA GPU; LONG=no: without those that take long
	@echo "==> pytest -m gpu"
	@$(BIN)/pytest -m "gpu$(if $(filter no,$(LONG)), and not long)"

wheel: $(READY) ## build the wheel, install it into a fresh environment, run it
	@echo "==> wheel"
	@$(BIN)/python tools/check_wheel.py

bench: $(READY) ## the table of measurements
	@$(BIN)/python -m bench

bench-gpu: $(READY) ## the table of an NVIDIA GPU, beside llama.cpp; BENCH_GPU=--quick: in a minute
	@$(BIN)/python -m bench.gpu $(BENCH_GPU)

clean: ## remove what was made
	rm -rf $(VENV) build dist .proof_bundle .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
