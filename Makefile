# Commands for developers. `make help` lists them. Longer ones are modules in operations/.

PYTHON ?= python3
PORT ?= 8000
STAGE ?= local
# Not ?=, because some desktops set USERNAME and SESSION in the environment.
USERNAME = speaker@example.com
EMAIL =
SESSION =
OPTIONS ?=
CONFIRM ?=
# Not ?=, because WSL sets NAME to the name of the machine.
NAME =
TESTS = tests local-gateway/tests clients/python/tests

define NEWLINE


endef
HASH := \#

# Refuse values that the shell would interpret. USERNAME and EMAIL may contain them.
INTERPRETED := ' " ` \ ; & | < > ( ) * ? $$ $(HASH)
refuse = $(if $(findstring $(2),$(value $(1))),$(error $(1) can't contain $(or $(3),$(2))))
$(foreach name,PORT STAGE SESSION OPTIONS CONFIRM NAME TESTS,$(foreach character,$(INTERPRETED),$(call refuse,$(name),$(character))))
$(foreach name,PORT STAGE SESSION OPTIONS CONFIRM NAME TESTS USERNAME EMAIL,$(call refuse,$(name),$(NEWLINE),a line break))
$(foreach name,USERNAME EMAIL,$(call refuse,$(name),$$))
quoted = '$(subst ','\'',$(value $(1)))'

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The scanner pins an older boto3 than the emulator, so it needs its own environment.
SCAN_VENV := .venv-scan
SCANNER := $(SCAN_VENV)/.installed
DOCS_VENV := .venv-docs
DOCS_BUILDER := $(DOCS_VENV)/.installed
# npm writes this file at the end of an installation.
VIEWER := operations/asyncapi/node_modules/.package-lock.json

VERSION := import sys; print("%d.%d" % sys.version_info[:2])
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and \
	"install: this needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is %d.%d; use one of them: \
	make PYTHON=python3.13" % sys.version_info[:2])

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' $(OPTIONS)

# Creates a virtual environment in the target's folder from the target's first prerequisite.
define INSTALL
@$(PYTHON) -c '$(SUPPORTED)'
@echo "Creating $(@D) with $(PYTHON)" >&2
@$(PYTHON) -m venv --clear $(@D)
@echo "Installing $< with pip (once, takes one to two minutes)" >&2
@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
endef

define READY
@echo "$(@D) is ready" >&2
@touch $@
endef

# A PYTHON of another version than the environment's recreates the environment.
ifneq (,$(filter command environment,$(origin PYTHON)))
ifneq ($(shell $(PYTHON) -c '$(VERSION)'),$(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null))
.PHONY: $(INSTALLED)
endif
endif

# Runs a module that names, in its errors, the command that you typed.
RUN = CALLED_AS='make $@' $(BIN)/python -m

# Refuse a command without a value that it needs. The second argument is an example.
missing = $(error $(1) is missing; add it: $(1)=$(2))
needs = $(if $(strip $(value $(1))),,$(call missing,$(1),$(2)))
GIVEN_STAGE = $(call needs,STAGE,dev)$(STAGE)

# With STAGE=local on the command line, the token is the emulator's, not the local server's.
TOKEN = $(if $(filter command,$(origin STAGE)),operations.stage_token '$(GIVEN_STAGE)',local_gateway.user_token --port '$(PORT)')

# Operate the local server, unless you name a stage.
PLACE = $(if $(filter command environment,$(origin STAGE)),--stage '$(GIVEN_STAGE)',--port '$(PORT)')

# You must name a stage for a command that changes a real account. The default doesn't count.
NAMED_STAGE = $(if $(filter command environment,$(origin STAGE)),,$(call missing,STAGE,dev))$(GIVEN_STAGE)

CONFIRMED = $(if $(CONFIRM),--confirm '$(CONFIRM)')

# Keeps a command away from real accounts. Only those that change or operate a stage run without.
SAFE := env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none \
	AWS_DEFAULT_REGION=us-east-1 AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
	AWS_EC2_METADATA_DISABLED=true

# Three workers for two cores, because many tests wait. Each runs a group of tests/conftest.py at a time, in the order of that file.
IN_GROUPS := --numprocesses 3 --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install lock local emulate token demo test asyncapi check docs scan lint format package bench clean \
	plan apply deploy deploy-dev deploy-staging deploy-prod destroy output speaker sessions session-end \
	named-stage

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## Create the virtual environment, if it is missing

# The packages of this repository come after their dependencies, because pip can't check the hash of a folder.
$(INSTALLED): requirements-dev.txt local-gateway/pyproject.toml clients/python/pyproject.toml
	$(INSTALL)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable local-gateway --editable clients/python
	$(READY)

lock: $(INSTALLED) ## Write requirements*.txt with versions and hashes from requirements*.in [OPTIONS=--upgrade]
	$(LOCK) --output-file requirements.txt requirements.in
	$(LOCK) --extra aws --output-file requirements-dev.txt requirements-dev.in local-gateway/pyproject.toml
	$(LOCK) --output-file requirements-scan.txt requirements-scan.in
	$(LOCK) --output-file requirements-docs.txt requirements-docs.in

# Your credentials for Translate and Polly. The stand-ins of these services get them, the functions don't.
DEVELOPER = $(if $(INTERPRETER),credentials=$$($(RUN) operations.developer_credentials) && \
	INTERPRETER_CREDENTIALS=$$credentials)
speech = $(if $(filter off,$(SPEECH)),,$(1))
BY_AWS = AWS translates$(call speech, and speaks) the captions, with your credentials and at your cost
BY_STAND_INS = nothing is translated: captions are marked with their language, like [es] Good morning$(call \
	speech,; they are spoken if espeak-ng and lame are installed)
BY_PIPELINE := your PIPELINE_FUNCTION gets the captions, and nothing else translates them
NOTE = $(if $(PIPELINE_FUNCTION),$(BY_PIPELINE),$(if $(INTERPRETER),$(BY_AWS),$(BY_STAND_INS)))
only_aws = $(if $(filter-out aws,$(INTERPRETER)),$(error INTERPRETER can only be aws))

local: $(INSTALLED) ## Serve the application on ws://127.0.0.1:PORT/local [PORT=8000] [INTERPRETER=aws] [OPTIONS=--help]
	$(only_aws)
	@$(DEVELOPER) $(SAFE) $(RUN) local_gateway --port '$(PORT)' --panel operations.live_panel:tables \
		--note '$(NOTE)' --hint 'make demo PORT={port}' --hint 'make -s token PORT={port}' $(OPTIONS)

emulate: $(INSTALLED) ## Apply the stack to an emulator of AWS, and serve it [PORT=4566]
	@$(SAFE) $(RUN) operations.emulate $(if $(filter-out file,$(origin PORT)),--port '$(PORT)')

token: $(INSTALLED) ## Print a speaker's token for the local server [PORT=8000] or the emulator [STAGE=local] [USERNAME=...]
	@$(SAFE) $(RUN) $(TOKEN) --username $(call needs,USERNAME,speaker@example.com)$(call quoted,USERNAME)

demo: $(INSTALLED) ## Play a session against the local server [PORT=8000] [OPTIONS=--fast]
	@$(SAFE) $(RUN) examples.demo --port '$(PORT)' $(OPTIONS)

test: $(INSTALLED) ## Run the tests, three at a time [TESTS=tests/unit]
	$(SAFE) $(BIN)/python -m pytest $(IN_GROUPS) $(TESTS)

asyncapi: $(INSTALLED) ## Write docs/asyncapi.yaml, and the clients' types and languages
	@$(SAFE) $(RUN) operations.asyncapi

check: lint scan $(INSTALLED) ## Lint, check the format and types, and scan the stack
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(DOCS_BUILDER) $(VIEWER) ## Build the docs into site/, and check their links
	$(DOCS_VENV)/bin/mkdocs build --strict
	@! grep -rnE '<(script|link|img|iframe|source)[^>]* (src|href)="?https?:' --include='*.html' site

$(DOCS_BUILDER): requirements-docs.txt
	$(INSTALL)
	$(READY)

$(VIEWER): operations/asyncapi/package-lock.json
	@echo "Installing the viewer of docs/asyncapi.yaml with npm (once)" >&2
	@npm ci --prefix $(<D) --ignore-scripts --no-audit --no-fund --silent
	@touch $@

scan: $(SCANNER) ## Scan the Terraform configuration for security problems with checkov
	$(SCAN_VENV)/bin/checkov
	cd local-gateway && ../$(SCAN_VENV)/bin/checkov

$(SCANNER): requirements-scan.txt
	$(INSTALL)
	$(READY)

lint: $(INSTALLED) ## Lint
	$(BIN)/ruff check

format: $(INSTALLED) ## Format the code, and fix what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

package: $(INSTALLED) ## Package the Lambda functions for a stage into terraform/modules/app [STAGE=local]
	@$(SAFE) $(RUN) operations.package '$(GIVEN_STAGE)'

plan: $(INSTALLED) ## Plan a stage on AWS, and save the plan STAGE=dev
	@$(RUN) operations.stack plan '$(NAMED_STAGE)'

apply: $(INSTALLED) ## Apply the saved plan STAGE=dev
	@$(RUN) operations.stack apply '$(NAMED_STAGE)'

named-stage:
	@: '$(NAMED_STAGE)'

deploy: named-stage package ## Package, plan and apply a stage STAGE=dev; asks before it applies, unless CONFIRM=dev (also deploy-dev, ...)
	@$(RUN) operations.stack deploy '$(NAMED_STAGE)' $(CONFIRMED)

deploy-dev deploy-staging deploy-prod: deploy-%:
	@$(MAKE) --no-print-directory deploy STAGE=$*

destroy: $(INSTALLED) ## Destroy a stage STAGE=dev; asks first, unless CONFIRM=dev
	@$(RUN) operations.stack destroy '$(NAMED_STAGE)' $(CONFIRMED)

output: $(INSTALLED) ## Print the outputs of a stage STAGE=dev [NAME=url]
	@$(RUN) operations.stack output '$(NAMED_STAGE)' $(NAME)

# Passed in the environment, because an apostrophe in an address would end a quoted word.
speaker: export EMAIL_OF_SPEAKER = $(EMAIL)
speaker: $(INSTALLED) ## Create a speaker, and print how to sign in STAGE=dev EMAIL=speaker@example.com
	@$(RUN) operations.speaker '$(NAMED_STAGE)' --email $(call needs,EMAIL,speaker@example.com)"$$EMAIL_OF_SPEAKER"

sessions: $(INSTALLED) ## List the open sessions of the local server [PORT=8000] or a stage [STAGE=dev] [OPTIONS=--json]
	@$(RUN) operations.operate sessions $(PLACE) $(OPTIONS)

session-end: $(INSTALLED) ## End a session SESSION=golden-eagle-427 [STAGE=dev]; asks first, unless CONFIRM=golden-eagle-427
	@$(RUN) operations.operate end '$(call needs,SESSION,golden-eagle-427)$(SESSION)' $(PLACE) $(CONFIRMED)

bench: $(INSTALLED) ## Run the benchmarks of the application and its clients
	$(SAFE) $(BIN)/python -m benchmarks

clean: ## Remove all files that the other commands created
	rm -rf $(VENV) $(SCAN_VENV) $(DOCS_VENV) build site tests/browser/node_modules operations/asyncapi/node_modules clients/javascript/node_modules clients/javascript/types local-gateway/conformance/serverless_offline/node_modules .pytest_cache local-gateway/.pytest_cache terraform/modules/app/chalice.tf.json terraform/modules/app/deployment.zip .mypy_cache .ruff_cache .hypothesis .chalice/deployments
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
