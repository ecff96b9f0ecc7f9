# Everything is installed into .venv from requirements/*.txt (versions and hashes), by the targets that need it.
# Only Python >= 3.11, git and make have to be there. `make PYTHON=/path/to/python3.13 …` chooses the interpreter.

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
ARGS ?=
PYTHONS := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)

# Containers like to set this, and then each `import dvc` would cost seconds for ever. Bytecode is written as it is
# needed: compiling all of .venv at once takes half a minute, most of it for modules that nobody imports.
unexport PYTHONDONTWRITEBYTECODE

# Nobody's demo or tests report to anyone: MLflow, DVC.
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := true

.PHONY: help demo test lint format docs vega pictures bench lock lock-upgrade clean

help: ## show this
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-22s %s\n", $$1, $$2 }'

demo: $(VENV)/.installed-demo ## the main job, on a small real project
	@$(BIN)/ci-ml demo $(ARGS)

test: $(VENV)/.installed-test ## the tests; ARGS="-k name -x" for some, ARGS="-m thorough" for the slow ones
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev ## style, types, and which way imports may go
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python docs/generate.py --check

docs: $(VENV)/.installed-dev ## write the pages of docs/ that are made from the code
	@$(BIN)/python docs/generate.py

vega: $(VENV)/.installed-test ## write what draws the charts of the HTML report, from vl-convert
	@$(BIN)/python docs/bundle.py

pictures: $(VENV)/.installed-test ## take the pictures of docs/pictures, with Chromium
	@$(BIN)/python docs/pictures.py

format: $(VENV)/.installed-dev ## let ruff mend what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(VENV)/.installed-test ## how fast, against peers
	@$(BIN)/python -m benchmarks $(ARGS)
	@$(BIN)/python -m benchmarks.tables
	@$(BIN)/python -m benchmarks.setup
	@$(BIN)/python -m benchmarks.reports
	@$(BIN)/python -m benchmarks.data
	@$(BIN)/python -m benchmarks.drift
	@$(BIN)/python -m benchmarks.promote

clean: ## remove .venv, caches and builds
	rm -rf $(VENV) .tools build dist .ci-ml .coverage htmlcov .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# --- The environment ------------------------------------------------------------------------------------------------

# The first interpreter that is new enough and can make environments; into its .venv goes uv, at its locked version.
$(VENV)/.installed-uv: requirements/uv.txt
	@for python in $(PYTHONS); do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    "$$python" -m venv --clear $(VENV) || exit; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $< || exit; \
	    touch $@; exit; \
	  fi; \
	done; \
	echo "Python 3.11 or newer with its venv module is needed; tried: $(PYTHONS)." >&2; \
	echo "On Debian and Ubuntu: apt-get install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3 …" >&2; \
	exit 1

# demo < test < dev agree on every version, so one .venv holds any of them, installed in any order.
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --build-constraints requirements/build.txt
PROJECT := pyproject.toml src/ci_ml/__init__.py
$(VENV)/.installed-%: requirements/%.txt requirements/build.txt $(PROJECT) $(VENV)/.installed-uv
	@echo "Installing $<"
	@$(INSTALL) --require-hashes --requirements $<
	@$(INSTALL) --no-deps --editable .
	@touch $@

# --- The lock -------------------------------------------------------------------------------------------------------

# dev.txt is the one resolution, for every platform and Python; the other files are parts of it. All change together, or
# none does, and a file that stays the same keeps its time.
NEW := $(VENV)/requirements
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
  --custom-compile-command 'make lock' --build-constraints requirements/build.txt
PART = $(COMPILE) --constraints $(NEW)/dev.txt

# One for each kind of DVC remote, and for what else CI may need, which are extras of the same names: ci-ml.txt and what
# that one adds. All of them are in dev.txt, so they agree, and templates/setup.sh installs any of them together.
KINDS := s3 gs azure ssh pandera postgres sigstore model-signing

lock: $(VENV)/.installed-uv ## resolve requirements/*.txt again, changing only what pyproject.toml makes necessary
	@rm -rf $(NEW) && cp -R requirements $(NEW)
	$(COMPILE) $(UPGRADE) pyproject.toml --extra demo $(KINDS:%=--extra %) --group uv --group build --group test --group lint \
	  -o $(NEW)/dev.txt
	$(PART) pyproject.toml --extra demo --group test -o $(NEW)/test.txt
	$(PART) pyproject.toml --extra demo -o $(NEW)/demo.txt
	$(PART) pyproject.toml -o $(NEW)/ci-ml.txt
	@set -e; for kind in $(KINDS); do \
	  echo "$(PART) pyproject.toml --extra $$kind -o $(NEW)/$$kind.txt"; \
	  $(PART) pyproject.toml --extra $$kind -o $(NEW)/$$kind.txt; \
	done
	$(PART) --group build -o $(NEW)/build.txt
	$(PART) --group uv -o $(NEW)/uv.txt
	@cd $(NEW) && for file in *.txt; do cmp -s $$file ../../requirements/$$file || cp $$file ../../requirements/$$file; done

lock-upgrade: ## … to the newest versions of everything
	@$(MAKE) lock UPGRADE=--upgrade
