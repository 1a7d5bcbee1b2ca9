# `make demo` and `make test` work on a fresh machine with Python 3.11, git and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what is imported, so pip need not compile everything.
INSTALL := install --quiet --disable-pip-version-check --no-compile
PIP := $(BIN)/python -m pip $(INSTALL) -c constraints.txt
KSI_DATA_DIR ?= data
FILES := pyproject.toml constraints.txt
SERVICES := $(patsubst %,.services/%/.done,postgres snowflake bigquery redshift kafka)
# One more where tests wait for servers.
IN_PROCESSES := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-all services portable test-spark check check-python check-sql format dev bench-events bench-video bench-tickets bench-tickets-files bench-ticket-hours bench-backfill bench-marts bench-publish clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

demo: $(VENV)/.demo  ## simulate a mall, run the whole pipeline on it, show the result
	$(BIN)/ksi demo --dir demo

docs: $(VENV)/.demo demo/warehouse/build.duckdb  ## every model and column as one HTML file, build/site/index.html
	$(BIN)/python docs/build_site.py demo/warehouse/build.duckdb

test: $(VENV)/.dev  ## set up and run the tests
	$(BIN)/python -m pytest $(IN_PROCESSES)

services:  ## what stands in for warehouses and servers in tests
	$(MAKE) --no-print-directory -j 4 $(SERVICES)

test-all: test $(VENV)/.vision services  ## the tests, and those that need torch or a server
	$(BIN)/python -m pytest -m "torch or services" $(IN_PROCESSES) -n 3

portable: $(VENV)/.dev .services/postgres/.done .services/compile/.done  ## the marts on PostgreSQL, and compiled for three warehouses
	$(BIN)/python -m pytest -m "services or adapters" tests/portable

test-spark: $(VENV)/.dev .services/spark/.done  ## the marts on Spark, which needs Java 17
	$(BIN)/python -m pytest -m spark tests/portable

check: $(VENV)/.dev  ## style, types, import rules, SQL
	$(MAKE) --no-print-directory --output-sync -j 2 check-sql check-python

check-python: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-sql: $(VENV)/.dev
	$(BIN)/sqlfluff lint dbt_project/models

format: $(VENV)/.dev  ## let ruff and sqlfluff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix dbt_project/models

dev: $(VENV)/.demo  ## open the Dagster UI on http://127.0.0.1:3000
	mkdir -p $(KSI_DATA_DIR)/dagster
	cp dagster.yaml $(KSI_DATA_DIR)/dagster/
	KSI_DATA_DIR=$(abspath $(KSI_DATA_DIR)) DAGSTER_HOME=$(abspath $(KSI_DATA_DIR)/dagster) \
	  $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

bench-events: $(VENV)/.dev  ## how fast counting is, beside shapely and a bare scan
	$(PIP) -e '.[bench]'
	$(BIN)/python benchmarks/events.py

bench-video: $(VENV)/.dev .bench/peers/.done  ## how fast and good tracklets are, beside ultralytics and trackers
	$(BIN)/python benchmarks/video.py

bench-tickets: $(VENV)/.dev  ## how fast a backfill over HTTP is, beside a requests loop
	$(BIN)/python benchmarks/tickets.py

bench-backfill: $(VENV)/.dev  ## thirty years of fifty stores over HTTP: rows a second and peak memory
	$(BIN)/python benchmarks/backfill.py

bench-marts: $(VENV)/.dev  ## how fast the marts are built, beside bare DuckDB and pandas
	$(BIN)/python benchmarks/marts.py

bench-publish: $(VENV)/.dev .bench/publish/.done  ## how fast a mart is published, beside dlt and polars
	$(BIN)/python benchmarks/publish.py

bench-tickets-files: $(VENV)/.dev  ## how fast a ticket file is loaded, beside a bare copy by polars
	$(BIN)/python benchmarks/tickets_files.py

bench-ticket-hours: $(VENV)/.dev  ## how fast hourly answers are read, beside pydantic and a keyed table
	$(BIN)/python benchmarks/ticket_hours.py

clean:  ## remove what make and the demo made, but no data
	rm -rf $(VENV) .bench .services demo dbt_project/target .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The pip that comes with Python 3.11 takes twice as long to find what to install.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

# Environments of their own have the Python of .venv, whatever PYTHON is by then. They need no pip:
# that of .venv installs into them.

# An environment of its own: torch is large, and ultralytics is AGPL-3.0.
.bench/peers/.done: benchmarks/video-peers.txt constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m venv --without-pip .bench/peers
	$(BIN)/python -m pip --python .bench/peers $(INSTALL) -c constraints.txt torch
	$(BIN)/python -m pip --python .bench/peers $(INSTALL) -c constraints.txt -r $<
	@touch $@

# dlt pins what the product does not need.
.bench/publish/.done: benchmarks/publish-peers.txt constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m venv --without-pip .bench/publish
	$(BIN)/python -m pip --python .bench/publish $(INSTALL) -c constraints.txt -r $<
	@touch $@

# Environments of their own: what dbt's adapters and stand-ins pin, the product does not need. What
# stands in for BigQuery and Snowflake wants other versions than constraints.txt has.
# The one for PostgreSQL looks into .venv too: dbt, with all it imports, need not be there twice.
WHERE := 'import site; print(site.getsitepackages()[0])'
ALSO := 'import site, sys; open(site.getsitepackages()[0] + "/dev.pth", "w").write(sys.argv[1])'
vpath %.txt tests/portable tests/services
.services/%/.done: %.txt constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m venv --without-pip .services/$*
	$(if $(filter postgres,$*),.services/$*/bin/python -c $(ALSO) $$($(BIN)/python -c $(WHERE)))
	$(BIN)/python -m pip --python .services/$* $(INSTALL) $(if $(filter bigquery snowflake,$*),,-c constraints.txt) -r $<
	$(if $(filter compile,$*),$(BIN)/python -m pip --python .services/$* $(INSTALL) --no-deps dbt-snowflake==1.12.3)
	@touch $@

.services/postgres/.done: | $(VENV)/.dev

$(VENV)/.demo: $(FILES) | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(FILES) | $(VENV)/bin/python
	$(PIP) -e '.[dev,openvino]'
	@touch $@ $(VENV)/.demo

demo/warehouse/build.duckdb: | $(VENV)/.demo
	$(BIN)/ksi demo --dir demo

# Torch is large; `make test` does without.
$(VENV)/.vision: $(FILES) | $(VENV)/.dev
	$(PIP) -e '.[dev,openvino,vision]'
	@touch $@
