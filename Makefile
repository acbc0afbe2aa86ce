# Every target sets .venv up by itself; PYTHON names the interpreter to start from (3.11 or newer).
# TORCH_INDEX, if set, is the package index that holds PyTorch's CPU build (see README.md).
PYTHON ?= python3
BIN := .venv/bin
Q ?= what did HMICFRS recommend?
export HF_HUB_OFFLINE ?= 1
export Q

.PHONY: ask serve eval gate test test-browser test-contract check docs format clean

ask: .venv/ready
	@$(BIN)/rag-qa ask -- "$$Q"

serve: .venv/ready
	@$(BIN)/rag-qa serve

eval: .venv/ready
	@$(BIN)/rag-qa eval

gate: .venv/ready
	@$(BIN)/rag-qa eval --gate

# Compiled first, for hundreds of processes are started, which may not be allowed to keep what they compile.
test: .venv/ready
	@$(BIN)/python -m compileall -q src
	$(BIN)/pytest --numprocesses=2 --dist=worksteal

test-contract: .venv/ready
	$(BIN)/python tests/contract/run.py

# Chromium is Debian's; axe-core is for these tests only.
AXE := axe-core-4.14.1
test-browser: .venv/ready build/$(AXE)
	@command -v chromium > /dev/null || (apt-get update -qq && apt-get install -y -qq chromium > /dev/null) || \
		(echo "test-browser needs Chromium: install it as root (Debian: apt-get install chromium)." && exit 1)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt playwright
	$(BIN)/pytest tests/browser

build/$(AXE):
	@mkdir -p $@ && cd build && npm pack --silent $(subst core-,core@,$(AXE)) > /dev/null && \
		tar -xzf $(AXE).tgz -C $(AXE) --strip-components=1 && rm $(AXE).tgz || (rm -rf $(AXE); exit 1)

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/ready
	@$(BIN)/python docs/http_api.py

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv

# torch comes first and alone: with 2.13.0 installed, no other package asks for another build of it.
.venv/ready: pyproject.toml constraints.txt
	@echo "Setting up .venv: some minutes, once."
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "rag_qa needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	@$(BIN)/python -m pip install --quiet --prefer-binary --constraint constraints.txt --editable '.[dev]'
	@touch $@
