# Two commands: `make run` starts the hub, `make test` passes the tests. Each sets up what it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   := build/demo

.PHONY: run test viewer ohif set-up set-up-dev clean

run: set-up build/.demo-made
	@exec $(BIN)/hub up --demo $(DEMO)

test: set-up-dev
	$(BIN)/python -m pytest $(PYTEST)

viewer:
	rm -f $(VENV)/.viewer
	$(MAKE) $(VENV)/.viewer

ohif: build/ohif/package/dist/index.html      # a peer for the tests

build/ohif/package/dist/index.html: deploy/fetch_ohif.py | $(VENV)/.runtime
	$(BIN)/python deploy/fetch_ohif.py
	@touch $@

set-up: $(VENV)/.runtime $(VENV)/.viewer $(VENV)/.words
set-up-dev: set-up $(VENV)/.dev

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/.viewer: $(shell find reading_ui/viewer -type f -not -path '*/node_modules/*' 2>/dev/null) | $(VENV)/.runtime
	$(BIN)/python deploy/build_viewer.py
	@touch $@

$(VENV)/.words: $(shell find reading_ui/translations -name '*.po' 2>/dev/null) | $(VENV)/.runtime
	$(BIN)/pybabel -q compile -d reading_ui/translations
	@touch $@

build/.demo-made: sample_data/make_ct.py sample_data/demo_ecg.xml | $(VENV)/.runtime
	@mkdir -p $(DEMO)
	$(BIN)/python sample_data/make_ct.py $(DEMO)/ct
	cp sample_data/demo_ecg.xml $(DEMO)/
	@touch $@

clean:
	rm -rf $(VENV) build reading_ui/static/built reading_ui/viewer/node_modules
