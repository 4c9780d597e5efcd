# Verbs for developers; `make help` lists them. Whatever needs a loop is a script.

PYTHON ?= python3
PORT ?= 8000
STAGE ?= local
# Not ?=: some desktops set USERNAME to the name of whoever sits there.
USERNAME = speaker@example.com
OPTIONS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# STAGE=local on the command line asks for the emulator's token, not the local server's.
TOKEN = $(if $(filter command,$(origin STAGE)),scripts.stage_token $(STAGE),devserver.user_token --port $(PORT))

# No verb may reach a real account.
SAFE := env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none \
	AWS_DEFAULT_REGION=us-east-1 AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
	AWS_EC2_METADATA_DISABLED=true

.DEFAULT_GOAL := help
.PHONY: help install local emulate token demo test check lint format package bench clean

help: ## List the verbs
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## Make the virtual environment, if it is not there

$(INSTALLED): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which: make PYTHON=python3.12")'
	@echo "making $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

local: $(INSTALLED) ## Serve the application on ws://127.0.0.1:PORT/local [PORT=8000] [OPTIONS=--help]
	@$(SAFE) $(BIN)/python -m devserver --port $(PORT) $(OPTIONS)

emulate: $(INSTALLED) ## Serve the stack that Terraform applies to an emulator of AWS
	@$(SAFE) $(BIN)/python -m scripts.emulate

token: $(INSTALLED) ## Print a speaker's token: local server [PORT=8000], emulator STAGE=local [USERNAME=...]
	@$(SAFE) $(BIN)/python -m $(TOKEN) --username '$(USERNAME)'

demo: $(INSTALLED) ## Play a session against the local server [PORT=8000]
	@$(SAFE) $(BIN)/python -m examples.demo --port $(PORT)

test: $(INSTALLED) ## Run every test
	$(SAFE) $(BIN)/python -m pytest

check: lint $(INSTALLED) ## Lint, check formats and types
	$(BIN)/ruff format --check
	$(BIN)/mypy

lint: $(INSTALLED) ## Lint
	$(BIN)/ruff check

format: $(INSTALLED) ## Format, and mend what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

package: $(INSTALLED) ## Package the Lambda functions for a stage into terraform/modules/app [STAGE=local]
	@$(SAFE) $(BIN)/python -m scripts.package $(STAGE)

bench: $(INSTALLED) ## Measure, each figure beside its yardstick
	$(SAFE) $(BIN)/python -m bench

clean: ## Remove all that the other verbs made
	rm -rf $(VENV) build .pytest_cache terraform/modules/app/chalice.tf.json terraform/modules/app/deployment.zip .mypy_cache .ruff_cache .hypothesis .chalice/deployments
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
