# Every target sets .venv up by itself; PYTHON names the interpreter to start from (3.11 or newer).
# TORCH_INDEX, if set, is the package index that holds PyTorch's CPU build (see README.md).
PYTHON ?= python3
BIN := .venv/bin
Q ?= what did HMICFRS recommend?
export HF_HUB_OFFLINE ?= 1
export Q

.PHONY: help ask serve eval gate test-unit test setup-browser test-browser test-contract check lint-imports docs format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

ask: .venv/ready ## answer Q from the seeds: make ask Q="…"
	@$(BIN)/rag-qa ask -- "$$Q"

serve: .venv/ready ## answer over HTTP
	@$(BIN)/rag-qa serve

eval: .venv/ready ## evaluate retrieval on the gold questions
	@$(BIN)/rag-qa eval

gate: .venv/ready ## fail if retrieval has become worse
	@$(BIN)/rag-qa eval --gate

test-unit: .venv/ready ## run the tests that need no index, in seconds
	$(BIN)/pytest tests/unit --numprocesses=2

# Compiled first, for hundreds of processes are started, which may not be allowed to keep what they compile.
test: .venv/ready ## run all tests but those of the contract and in a browser
	@$(BIN)/python -m compileall -q src
	$(BIN)/pytest --numprocesses=2 --dist=worksteal

test-contract: .venv/ready ## check the HTTP interface against its description
	$(BIN)/python tests/contract/run.py

# Chromium is Debian's; axe-core is for these tests only.
AXE := axe-core-4.14.1
setup-browser: .venv/browser build/$(AXE) ## install Chromium (as root, on Debian), playwright and axe-core
	@command -v chromium > /dev/null || (apt-get update -qq && apt-get install -y -qq chromium > /dev/null)

test-browser: .venv/ready ## run the tests in Chromium, after make setup-browser
	@command -v chromium > /dev/null && test -d build/$(AXE) || \
		(echo "test-browser needs Chromium and axe-core: run \`make setup-browser\` as root on Debian, or install them." && exit 1)
	$(BIN)/pytest tests/browser

.venv/browser: .venv/ready
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt playwright
	@touch $@

build/$(AXE):
	@mkdir -p $@ && cd build && npm pack --silent $(subst core-,core@,$(AXE)) > /dev/null && \
		tar -xzf $(AXE).tgz -C $(AXE) --strip-components=1 && rm $(AXE).tgz || (rm -rf $(AXE); exit 1)

check: .venv/ready ## check format, lint, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-imports: .venv/ready ## check the import order of the packages
	$(BIN)/lint-imports

docs: .venv/ready ## make docs/http-api.md from the code
	@$(BIN)/python docs/http_api.py

format: .venv/ready ## format, and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove .venv
	rm -rf .venv

# torch comes first and alone: with 2.13.0 installed, no other package asks for another build of it.
.venv/ready: pyproject.toml constraints.txt
	@echo "Setting up .venv: some minutes, once."
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "rag_qa needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	@$(BIN)/python -m pip install --quiet --prefer-binary --constraint constraints.txt --editable '.[dev]'
	@touch $@
