# Every target sets itself up: a fresh clone needs python3 (3.11 or newer), make and git.
#   make demo TICKETS=52000      make test PYTHON=python3.13      make dev HELPDESK=rt

PYTHON   ?= python3
TICKETS  ?= 5000
CHAOS_STORIES ?= 2000
# Whom `make dev` runs against: `simulated`, or `rt` for a real Request Tracker.
HELPDESK ?= simulated
VENV     ?= .venv
LOCAL    ?= .local
BIN      := $(VENV)/bin
STAMP    := $(VENV)/installed
SECOND   := .venv-second-opinion
# One process with all that is slow would hold up the other for minutes: it takes from its queue.
SHARED   := -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all chaos test-local-bigquery test-googlesql test-bigquery googlesql-judge \
	dev format lint types contracts guards fuzz audit constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make the virtual environment and install everything

$(STAMP): EXTRAS := local,dev
$(STAMP): pyproject.toml constraints.txt
$(SECOND)/installed: EXTRAS := second-opinion,dev
$(SECOND)/installed: pyproject.toml constraints-second-opinion.txt
$(STAMP) $(SECOND)/installed:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11: name a newer one, make PYTHON=python3.13 ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint $(word 2,$^) --editable '.[$(EXTRAS)]'
	@touch $@

demo: install ## First sync, lost webhooks, second sync, checks, comparison; stops all it started
	$(BIN)/helpdesk-assets demo --tickets $(TICKETS)

test: install lint types contracts ## What to wait for: format, lint, types, contracts, quick tests (5 minutes)
	$(BIN)/pytest -q $(SHARED) -m "not slow and not extended" $(PYTEST_ARGS)

test-all: install lint types contracts ## Every test: also each helpdesk, hostile input, chaos, Request Tracker, daemon
	$(BIN)/pytest -q $(SHARED) $(PYTEST_ARGS)

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

contracts: install
	$(BIN)/lint-imports --config setup.cfg

chaos: install ## Stories that try to prove the promises wrong (CHAOS_STORIES, an hour or so)
	nice -n 5 $(BIN)/python -m helpdesk_assets_tests.chaos.long_run \
		--stories $(CHAOS_STORIES) --out $(LOCAL)/chaos

# What sends statements of every kind, for the three targets below: not all that needs a warehouse.
SQL_TESTS := $(addprefix helpdesk_assets_tests/, warehouse contract \
	$(addprefix defs/, test_bigquery_merge.py test_sync_job.py test_webhook_ledger.py) \
	receiver/test_event_store.py \
	promises/test_on_bigquery.py)

# The two stand-ins cannot be in one environment, and this one runs on Python 3.13 alone.
test-local-bigquery: $(SECOND)/installed ## The warehouse's tests on another stand-in (PYTHON=python3.13)
	$(SECOND)/bin/pytest -q $(SHARED) -m warehouse --warehouse=local-bigquery $(SQL_TESTS) $(PYTEST_ARGS)

test-googlesql: install googlesql-judge ## The warehouse's tests, judged by BigQuery's own analyser
	$(BIN)/pytest -q $(SHARED) -m warehouse --warehouse=googlesql \
		helpdesk_assets_tests/googlesql $(SQL_TESTS) $(PYTEST_ARGS)

test-bigquery: install ## The same on the real service: BIGQUERY_PROJECT and credentials
	$(BIN)/pytest -q -m warehouse --warehouse=bigquery $(SQL_TESTS) $(PYTEST_ARGS)

googlesql-judge: ## Build what judges statements (Go 1.25, 7 GB of memory, minutes the first time)
	@command -v go >/dev/null || \
		{ echo "Go is not installed: the GoogleSQL judge needs Go 1.25 or newer" >&2; exit 1; }
	cd helpdesk_assets_tests/googlesql && CGO_ENABLED=0 go build -buildvcs=false \
		-o $(abspath $(LOCAL))/bin/googlesql-judge .

guards: install ## Take out each guard in turn, and print the test that misses it (half an hour)
	$(BIN)/python -m helpdesk_assets_tests.mutation $(GUARD)

fuzz: install ## Look for input that breaks something, for as long as it takes
	$(BIN)/pytest -q $(SHARED) --hypothesis-profile=fuzz --timeout 0 helpdesk_assets_tests/hostile $(PYTEST_ARGS)

audit: install ## Known vulnerabilities of the pinned dependencies; ends with 75 where it cannot ask
	@.ci/audit $(BIN)

dev: install ## A helpdesk (HELPDESK=rt: a real one), local BigQuery and the Dagster UI
	@case $(HELPDESK) in simulated) ;; rt) deploy/request-tracker.sh check ;; \
		*) echo "HELPDESK is simulated or rt, not $(HELPDESK)" >&2; exit 1 ;; esac
	@mkdir -p $(LOCAL)/dagster $(LOCAL)/warehouse
	@cp deploy/dagster.yaml $(LOCAL)/dagster/dagster.yaml
	@# Dagster limits a pool only once it knows it, which without this is after the first run.
	@test -s $(LOCAL)/helpdesk-since || { \
		DAGSTER_HOME=$(abspath $(LOCAL))/dagster $(BIN)/dagster instance concurrency set helpdesk_sync 1 && \
		DAGSTER_HOME=$(abspath $(LOCAL))/dagster $(BIN)/dagster instance concurrency set helpdesk_backfill 2 && \
		DAGSTER_HOME=$(abspath $(LOCAL))/dagster $(BIN)/dagster instance concurrency set helpdesk_reconcile 1 && \
		date -u +%Y-%m-%dT%H:%M:%SZ > $(LOCAL)/helpdesk-since; }
	DAGSTER_HOME=$(abspath $(LOCAL))/dagster TICKETS=$(TICKETS) LOCAL=$(LOCAL) \
		HELPDESK=$(HELPDESK) WEBHOOK_SECRETS=$${WEBHOOK_SECRETS:-local-demo-secret} \
		PATH="$(abspath $(BIN)):$$PATH" \
		$(BIN)/honcho $(if $(filter rt,$(HELPDESK)),--env deploy/request-tracker.env) start

format: install ## Rewrite the sources in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

PINNED := uv pip compile --quiet --upgrade --no-annotate --no-header --no-emit-index-url --extra dev

constraints: install ## Pin the newest dependencies that fit, for every supported Python
	$(BIN)/$(PINNED) --universal --python-version 3.11 --extra local pyproject.toml \
		--output-file constraints.txt
	$(BIN)/$(PINNED) --python-version 3.13 --extra second-opinion pyproject.toml \
		--output-file constraints-second-opinion.txt

clean: ## Remove the virtual environment and all local state
	rm -rf $(VENV) $(SECOND) $(LOCAL) build dist *.egg-info
