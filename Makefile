# Passerby: `make demo` to try it, `make test` to check it. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
TEST_PROCESSES ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test soak bench check format train clean

help: ## Show these targets
	@grep -E '^[a-z.]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/installed ## Draw a gallery of people, index it and serve it on 127.0.0.1:8000
	$(BIN)/passerby demo

test: $(VENV)/installed chromium prometheus caddy network ## Run every test: SQLite, PostgreSQL and a real browser
	$(BIN)/python -m pytest --numprocesses=$(TEST_PROCESSES)

soak: $(VENV)/installed ## Run the long proofs, hours: SOAK_MINUTES=3 SOAK_PICTURES=2000 for a short look
	$(BIN)/python -m pytest tests/soak -s -v

bench: $(VENV)/installed ## Measure speed against what one would otherwise run: docs/performance.md
	OMP_NUM_THREADS=$$(nproc) $(BIN)/python -m benchmarks.performance $(TOPICS)

check: $(VENV)/installed ## Lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed ## Rewrite the code as `make check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train: $(VENV)/installed ## Train the checkpoint that ships, from nothing
	$(BIN)/passerby train --recipe small --out runs/small

.venv: $(VENV)/installed ## Make the environment alone

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Passerby needs Python 3.11 or newer: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo 'Python has no venv: apt-get install -y python3-venv'; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python --requirement requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --editable .
	@touch $@

.PHONY: chromium
chromium:
	@for name in chromium chromium-browser google-chrome; do \
		command -v $$name >/dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'Installing chromium for the browser tests'; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else \
		echo 'The browser tests need Chromium: sudo apt-get install -y chromium'; exit 1; \
	fi

# Unpacked beside the environment: installed, their services would start.
.PHONY: prometheus caddy
prometheus caddy: $(VENV)/installed
	@{ command -v $@ || test -d $(VENV)/$@; } >/dev/null && exit 0; \
	command -v apt-get >/dev/null || { echo 'Tests need $@ from Debian'; exit 1; }; \
	echo 'Fetching $@ for tests'; cd $(VENV) && rm -f $@_*.deb; \
	apt-get download -qq $@ 2>/dev/null \
		|| { apt-get update -qq && apt-get download -qq $@; } || exit 1; \
	dpkg -x $@_*.deb $@ && rm $@_*.deb

# The tests of docker-compose.yml lay out networks: as root, or not at all.
.PHONY: network
network:
	@{ command -v ip && command -v curl; } >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'Installing iproute2 and curl for the tests of docker-compose.yml'; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq iproute2 curl >/dev/null; \
	fi

clean: ## Remove the environment and what tools left
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
