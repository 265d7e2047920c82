# make start    separate a song that is fetched, the first time, into six stems, then run a server (ARGS="--port 8080")
# make start SONG=song.mp3    separate a song of yours and say where its stems are
# make test     the tests, without torch        make test-torch   those that need torch
# make test-fleet    what of them uses a database or a server, on PostgreSQL, S3 and several processes
# make test-browser    the pages, in Chromium          make screenshots    pictures of them all, in screenshots/
# make check    formatting, lint and types      make lock         write constraints.txt anew
PYTHON ?= python3
VENV := .venv
TORCH_VENV := .venv-torch
BIN := $(VENV)/bin
NODE_CLIENT := tests/acceptance/node
AXE := tests/browser/node
SONG ?=
OUT ?= stems
ARGS ?=
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: start demo test test-fleet test-torch test-browser screenshots chromium weights check lock clean
.DELETE_ON_ERROR:

start: $(VENV)/installed
ifeq ($(SONG),)
	@test -e "$(OUT)/Metal madness" || $(MAKE) --no-print-directory demo || echo "Going on without the demo song." >&2
	@$(BIN)/stemsplitter serve $(ARGS)
else
	@$(BIN)/stemsplitter split "$(SONG)" --output "$(OUT)" $(ARGS)
endif

demo: $(VENV)/installed
	@song=$$($(BIN)/python scripts/demo_song.py) && $(BIN)/stemsplitter split "$$song" --output "$(OUT)"

# in two processes: in one, a signal that a unit test sends itself was a segmentation fault after the acceptance tests
test: $(VENV)/installed-dev weights $(NODE_CLIENT)/node_modules
	$(BIN)/python -m pytest tests/acceptance $(ARGS)
	$(BIN)/python -m pytest --ignore=tests/acceptance $(ARGS)

test-fleet: $(VENV)/installed-dev $(NODE_CLIENT)/node_modules
	$(BIN)/python -m pytest --fleet tests/acceptance $(ARGS)
	$(BIN)/python -m pytest --fleet --ignore=tests/acceptance $(ARGS)

# the client of the acceptance tests that is not Python's, and what looks for barriers on the pages
%/node_modules: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund --silent
	touch $@

# what finds the vocals in the acceptance tests and the demo; does nothing where it is there
weights: $(VENV)/installed
	$(BIN)/stemsplitter models pull spleeter_2s

test-torch: $(TORCH_VENV)/installed
	$(TORCH_VENV)/bin/python -m pytest -m torch $(ARGS)
	$(TORCH_VENV)/bin/python -m pytest -m 'not torch' tests/training

test-browser: $(VENV)/installed-browser $(AXE)/node_modules chromium
	$(BIN)/python scripts/demo_song.py
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

screenshots: $(VENV)/installed-browser chromium
	song=$$($(BIN)/python scripts/demo_song.py) && $(BIN)/python -m scripts.screenshots "$$song" screenshots

# a browser that the machine keeps up to date
chromium:
	@if ! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-liberation; \
		else echo "error: Chromium is not installed: install it, with apt-get install chromium as root." >&2; exit 1; fi; fi

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	scripts/lint_deploy $(BIN)

lock:
	scripts/lock

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python $(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/installed-browser: $(VENV)/installed-dev
	$(BIN)/python $(PIP) install --constraint constraints.txt --editable '.[dev,browser]'
	touch $@

# torch first and pinned, so that demucs does not bring another one
$(TORCH_VENV)/installed: pyproject.toml constraints.txt
	test -x $(TORCH_VENV)/bin/python || $(PYTHON) -m venv $(TORCH_VENV)
	$(TORCH_VENV)/bin/python $(PIP) install torch==2.13.0
	$(TORCH_VENV)/bin/python $(PIP) install --constraint constraints.txt --editable '.[dev,torch,parity]'
	touch $@

clean:
	rm -rf $(VENV) $(TORCH_VENV) $(NODE_CLIENT)/node_modules $(AXE)/node_modules .demo stems screenshots
