# `make run` is all a newcomer needs: Python 3.11 or newer (with venv and pip) and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := VENV=$(VENV) requirements/uv.sh
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --custom-compile-command "make lock"
# A file's tests stay together: what its fixtures start, a gateway or a browser, is started once.
WORKERS ?= -n auto --dist loadfile
PATHS := src tests $(wildcard bench)

.DEFAULT_GOAL := help
.PHONY: help setup dev run test lint fix bench docs lock clean

help: ## Say what the targets do
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(VENV)/.runtime ## Make .venv and install the locked packages (hashes checked)

# On a terminal the chat gets a process group of its own (set -m): Ctrl-C stops an answer and must not reach make.
run: setup ## Set up, start the gateway, ask it a first question, and chat
	@if [ -t 0 ] && [ -t 1 ]; then set -m; $(BIN)/openclaw up; else exec $(BIN)/openclaw up; fi

test: dev ## Run every test
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

lint: dev ## Check style, types and floors (changes nothing)
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: dev ## Repair what can be repaired by a program
	$(BIN)/ruff check --fix $(PATHS)
	$(BIN)/ruff format $(PATHS)

bench: dev ## Measure the gateway against the stand-in upstream
	@$(BIN)/python -m bench $(ARGS)

docs: dev ## Write the generated pages of docs/ again
	@$(BIN)/python -m tests.docs.generate

lock: dev ## Resolve the locked sets again (requirements/*.txt)
	$(LOCK) requirements/uv.in -o requirements/uv.txt $(LOCKARGS)
	$(LOCK) requirements/build.in -o requirements/build.txt $(LOCKARGS)
	$(LOCK) pyproject.toml --extra embedded -o requirements/runtime.txt $(LOCKARGS)
	$(LOCK) pyproject.toml --extra embedded --group dev -c requirements/runtime.txt -o requirements/dev.txt $(LOCKARGS)

dev: $(VENV)/.dev

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/npm/node_modules

# Each stamp is younger than what it was made from; when nothing changed, make does nothing.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "openclaw needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Could not make $(VENV). On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/.uv: requirements/uv.txt | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml $(VENV)/.uv
	@echo "Installing the locked packages …"
	@$(INSTALL) -r requirements/build.txt -r requirements/runtime.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "Installing the locked development tools …"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@
