# `make run` serves Larder, `make test` tests it; both set up what they need. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ADDRESS ?= 127.0.0.1:8000
PYTEST_ARGS ?=

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help run test install install-dev test-browser lint types check screenshots bench lock clean

help:  ## list what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: install  ## set up, migrate, and serve at http://localhost:8000
	@$(BIN)/python oppman.py migrate
	@$(BIN)/python oppman.py seed
	@$(BIN)/python oppman.py runserver $(ADDRESS)

test: install-dev  ## set up and run the whole suite but the browser's
	@$(BIN)/python oppman.py test $(or $(PYTEST_ARGS),-n auto)

install: $(VENV)/.installed static/dist/manifest.json locale/.compiled  ## make .venv from the lock, build the assets

install-dev: install $(VENV)/.installed-dev tests/openid/node_modules/.installed  ## the same, with what tests and tools need

$(VENV)/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Larder needs Python 3.11 or newer; say which with PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Python packages into $(VENV) (a minute the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing the packages that tests need"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

# Node.js comes from a wheel where there is none, or one too old for the build tools.
$(VENV)/.node: requirements-node.lock $(VENV)/.installed
	@node -e 'process.exit(process.versions.node.split(".")[0] < 18)' 2>/dev/null && npm --version >/dev/null 2>&1 \
		|| { echo "Installing Node.js from a wheel"; $(BIN)/python -m pip install --quiet --require-hashes -r requirements-node.lock; }
	@touch $@

tests/openid/node_modules/.installed: $(VENV)/.node tests/openid/package-lock.json
	@echo "Installing the OpenID provider that tests sign in with"
	@cd tests/openid && npm ci --ignore-scripts --no-audit --no-fund >/dev/null
	@touch $@

static/dist/manifest.json: $(VENV)/.node package-lock.json static/build.mjs services/seeds/categories.csv services/seeds/panel.py $(shell find static/src templates admin -type f -not -name "*.pyc")
	@echo "Building css, js and icons"
	@$(BIN)/python oppman.py collectstatic
	@touch $@

locale/.compiled: $(VENV)/.installed $(shell find locale -name '*.po' 2>/dev/null)
	@mkdir -p locale
	@$(BIN)/python oppman.py compilemessages
	@touch $@

test-browser: install-dev  ## drive the real server in headless Chromium
	@$(BIN)/python oppman.py test -m browser $(PYTEST_ARGS)

lint: install-dev  ## ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: install-dev  ## mypy, strict
	@$(BIN)/mypy

check: lint types test  ## lint, types and tests

screenshots: install-dev  ## make the README's screenshots anew
	@$(BIN)/python -m docs.make_screenshots

bench: install-dev  ## measure, and write docs/performance.md and docs/performance-live.md
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-bench.lock
	@$(BIN)/python -m bench
	@{ echo "# What telling costs"; echo; echo "Measured by \`make bench\`."; \
		$(BIN)/python -m bench.fanout; $(BIN)/python -m bench.chat; \
		$(BIN)/python -m bench.sweep; $(BIN)/python -m bench.monitor; } > docs/performance-live.md

lock:  ## compile the locks anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 $(UPGRADE) pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 $(UPGRADE) -c requirements.lock pyproject.toml --group dev -o requirements-dev.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 $(UPGRADE) -c requirements-dev.lock --group bench -o requirements-bench.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 $(UPGRADE) --group node -o requirements-node.lock

clean:  ## remove what is built, but no data
	rm -rf $(VENV) node_modules tests/openid/node_modules static/build static/dist locale/.compiled .pytest_cache .mypy_cache .ruff_cache
