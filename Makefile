# Vigie: `make demo` shows a living dashboard, `make test` proves it; both set themselves up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PYTHONTZPATH =
export STREAMLIT_BROWSER_GATHER_USAGE_STATS = false
PY := .venv/bin/python
TOOLS := .cache/tools/bin
PRODUCTION := .cache/production

PYTEST := $(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder
INSTANT ?= 2026-12-31T23:59Z

.PHONY: help setup demo bank sql check test test-at torture mutants lint lock sbom generated screenshots bench clean
.DEFAULT_GOAL := help

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/.complete  ## create .venv: exactly the files whose hashes are in requirements.lock

.venv/.complete: requirements.lock
	@echo "Setting up .venv (once, a minute or two) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Vigie needs Python 3.11 or newer")'
	@$(PYTHON) -m venv .venv
	@{ $(PY) -m pip install --progress-bar off --disable-pip-version-check --require-virtualenv \
	     --require-hashes -r requirements.lock; \
	   echo "ended $$?"; } | \
	 while read -r word name rest; do case $$word in \
	   Collecting) printf '%s ' "$${name%%[=<>~!;[]*}" ;; \
	   Installing) printf '\ninstalling them …\n' ;; \
	   ended) exit $$name ;; \
	 esac; done
	@touch $@

demo: setup  ## broker, simulated floor, consumer, dashboard and notify; Ctrl-C stops them
	@$(PY) -m ingest demo

bank: setup  ## a month of real calls through the broker, and its KPIs
	@$(PY) -m ingest bank

sql: setup  ## a SQL shell on the published file
	@$(PY) -m metrics.published.shell

check: lint  ## style, types and the fast tests, within three minutes on two cores: before every commit
	@echo "The fast tests, without brokers and browsers; make test runs all …"
	@$(PYTEST) -m "not slow"

test: setup  ## every test
	@echo "Every test, on real brokers and in a browser: 20 to 40 minutes on two cores …"
	@$(PYTEST)

test-at: setup  ## every test, by a machine's clock that begins at INSTANT; .ci/instants has some
	@echo "Every test, by a clock that shows $(INSTANT) now: 20 to 40 minutes on two cores …"
	@$(PY) -m bench.clock $(INSTANT) $(PYTEST)

torture: setup  ## every kind of trouble at once, with new seeds, until one fails: MINUTES=30, SEED=n; or KILLS=200
	@$(PY) -m tests $(foreach o,MINUTES SEED EXAMPLES STEPS KILLS,$(if $($(o)),--$(shell echo $(o) | tr A-Z a-z) $($(o)))) \
	  $(if $(WORDS),--words "$(WORDS)")

mutants: setup  ## faults put into the store, the fold and the judging; which of them no check sees
	@$(PY) -m tests.mutation --jobs $(or $(JOBS),1) $(FILES)

lint: setup  ## style and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

# --universal: for every system and each Python from 3.11 on. Versions stay as they are, but for those of UPGRADE
COMPILE := $(TOOLS)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes
lock: .cache/tools/.complete  ## the locks, after a change of requirements.txt or .ci/tools.txt: UPGRADE="urllib3 idna"
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; set -e; \
	 $(COMPILE) $(addprefix --upgrade-package=,$(UPGRADE)) requirements.txt -o requirements.lock; \
	 sed '/^# the broker of the demo/,$$d' requirements.txt | \
	 $(COMPILE) --no-annotate --constraints requirements.lock - -o production.lock; \
	 $(COMPILE) $(addprefix --upgrade-package=,$(UPGRADE)) .ci/tools.txt -o .ci/tools.lock

sbom: .cache/tools/.complete  ## the packages of production alone: the programs start; SBOM and licences in dist/
	@mkdir -p dist
	@$(PYTHON) -m venv --clear $(PRODUCTION)
	@$(PRODUCTION)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes \
	   --only-binary :all: -r production.lock
	@$(PRODUCTION)/bin/python -m ingest run --help >/dev/null
	@$(PRODUCTION)/bin/python -m notify --help >/dev/null
	@$(PRODUCTION)/bin/python -c "import dashboard"
	@$(TOOLS)/python -W ignore::UserWarning -m cyclonedx_py environment --pyproject pyproject.toml --output-reproducible \
	   --no-validate -o dist/vigie.cdx.json $(PRODUCTION)
	@$(TOOLS)/pip-licenses --python $(PRODUCTION)/bin/python --format markdown --output-file dist/licences.md

.cache/tools/.complete: .ci/tools.lock
	@echo "Setting up .cache/tools (once, half a minute) …"
	@$(PYTHON) -m venv .cache/tools
	@$(TOOLS)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r .ci/tools.lock
	@touch $@

generated: setup  ## what is written from the definitions of the figures: their SQL and their glossary
	@$(PY) -m metrics.published.generated
	@$(PY) -m metrics.published.glossary

screenshots: setup  ## the pictures of the README, of a living demo
	@$(PY) docs/screenshots.py

bench: setup  ## the ratios of the README, measured side by side
	@$(PY) -m bench

clean:  ## remove the environments and the demo's data
	rm -rf .venv .cache/tools $(PRODUCTION) dist data data-keys
