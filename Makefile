# Everything a newcomer needs: run, test, bench. Only Python 3.11 or newer is presupposed.
#
# Targets: install  run  test  lint  bench
# PORT=8000 make run     DATA_DIR=/path make run     ARGS="tests/pricing -q" make test

SHELL := /bin/sh
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
SNIPPETS := .venv-snippets
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install -q --require-hashes
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS ?=

.PHONY: install install-dev install-snippets chromium run test lint bench

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) (once)." >&2
	@$(PIP) -r requirements.txt
	@touch $@

install-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the locked development dependencies into $(VENV) (once)." >&2
	@$(PIP) -r requirements-dev.txt
	@touch $@

# Libraries whose documented snippets run with other versions of an SDK than ours. The lock is complete, so that
# nothing is left to resolve; few of their modules are ever imported, so that compiling all of them is a waste.
install-snippets: $(SNIPPETS)/.installed

$(SNIPPETS)/.installed: requirements-snippets.txt | $(VENV)/.installed
	@test -x $(SNIPPETS)/bin/python || $(BIN)/python -m venv --without-pip $(SNIPPETS)
	@echo "Installing the locked libraries of documented snippets into $(SNIPPETS) (once)." >&2
	@$(BIN)/python -m pip --python $(SNIPPETS)/bin/python --disable-pip-version-check --no-input install -q \
		--require-hashes --no-deps --no-compile -r requirements-snippets.txt
	@touch $@

# The browser tests drive Debian's chromium; where it cannot be installed they are skipped.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing chromium for the browser tests (once)." >&2; \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null 2>&1; } || echo "chromium could not be installed: browser tests are skipped." >&2; \
	else echo "chromium is not installed: browser tests are skipped." >&2; fi

run: install
	@exec $(BIN)/python manage.py up --port $(PORT) $(ARGS)

test: install-dev install-snippets chromium
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: install-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/djlint --check --lint --quiet templates

bench: install-dev
	@$(BIN)/python -m bench $(ARGS)
