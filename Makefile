# `make help` lists the verbs. Everything they need is set up in .venv and in the
# cache directory; nothing has to be installed by hand.

UV_VERSION := 0.13.9
VENV := .venv
UV := $(VENV)/bin/uv
PYTHON ?= python3
# Workers of the tests.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
PYTEST := $(VENV)/bin/python -m pytest
# The tests of a file share what they build. Those of containers wait a quarter of the time,
# so they have half as many workers again.
LAB_JOBS ?= $(shell expr $(JOBS) + $(JOBS) / 2)
PYTEST_LAB = $(PYTEST) --numprocesses $(LAB_JOBS) --dist loadfile
FAST_TIER := $(patsubst %,tests/%,scaffold conformance contract update benchmark house) \
	$(patsubst %,tests/pipeline/test_%.py,schema scripts workflows)
# In a house's checkout its own tests run there, and the template's in a copy without the house.
HOUSE := $(wildcard house/house.yml)
COPY := .cache/without-house
copy = $(VENV)/bin/python scripts/without_house.py $(COPY)
images = $(MAKE) --directory $(COPY) test-image test-pipeline
in_copy = $(if $(HOUSE),$(copy) && $(MAKE) --directory $(COPY) $@,$(1))
# What a service gets of Python, which no verb of a service lints.
PLATFORM_RUFF := template/ci/conformance/ruff.toml
PLATFORM_PYTHON := template/ci/conformance "template/{{ pipeline }}/ci/pipeline"
IMAGE_TIER := tests/image
NIGHTLY_PIPELINES := $(patsubst %,tests/pipeline/test_%.py,scans keyless provenance faults failures github_languages github_containers)
PIPELINE_TIER := $(filter-out $(FAST_TIER) $(NIGHTLY_PIPELINES),$(wildcard tests/pipeline/test_*.py))
export PATH := $(abspath $(VENV))/bin:$(PATH)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(UV):
	@sh scripts/bootstrap.sh $(PYTHON) $(VENV) $(UV_VERSION)

$(VENV)/.copier: uv.lock pyproject.toml | $(UV)
	@$(UV) sync --quiet --locked --inexact
	@touch $@

$(VENV)/.test: uv.lock pyproject.toml | $(UV)
	@$(UV) sync --quiet --locked --all-groups --inexact
	@touch $@ $(VENV)/.copier

.PHONY: new
new: $(VENV)/.copier ## Scaffold a service: make new DEST=../payments [DEFAULTS=1] [DATA="language=go …"]
	@test -n "$$DEST" || { echo 'new: say where: make new DEST=../payments' >&2; exit 2; }
	@sh scripts/new.sh $(VENV)/bin/copier "$$DEST" $(if $(DEFAULTS),--defaults)

.PHONY: adopt
adopt: $(VENV)/.copier ## Bring a service that exists under the template: make adopt DEST=../existing
	@test -n "$$DEST" || { echo 'adopt: say which: make adopt DEST=../existing' >&2; exit 2; }
	@$(VENV)/bin/python scripts/adopt.py "$$DEST" $(if $(DEFAULTS),--defaults)

.PHONY: lint
lint: $(VENV)/.test ## Lint this repository
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check --no-cache --config $(PLATFORM_RUFF) $(PLATFORM_PYTHON)
	$(VENV)/bin/ruff format --check --no-cache --config $(PLATFORM_RUFF) $(PLATFORM_PYTHON)
	$(VENV)/bin/python scripts/house.py --check
	$(VENV)/bin/shellcheck .ci/run scripts/*.sh template/ci/*.sh tests/pipeline/*.sh

.PHONY: house
house: $(VENV)/.test ## Write what services get of bases.yml and house/: make house [NAME="Acme Platform" begins it]
	@$(VENV)/bin/python scripts/house.py $(if $(NAME),--start "$$NAME")

.PHONY: lock
lock: $(VENV)/.test ## Write the lock of platform files after a change to one
	$(VENV)/bin/python scripts/lock.py

.PHONY: golden
golden: $(VENV)/.test ## Write the golden services after a change to a render
	$(if $(HOUSE),$(copy))
	$(VENV)/bin/python $(if $(HOUSE),$(COPY)/)scripts/golden.py $(if $(HOUSE),--golden tests/golden)

.PHONY: picture
picture: $(VENV)/.test ## Draw docs/questions.svg after a change to a question
	$(VENV)/bin/python scripts/picture.py

.PHONY: test-fast
test-fast: lint ## Run the fast tier: renders, answers, lint, updates, conformance
	$(if $(HOUSE),$(PYTEST) --numprocesses $(JOBS) tests/house/test_own.py)
	$(call in_copy,sh scripts/scratch.sh $(PYTEST) --numprocesses $(JOBS) --dist worksteal $(FAST_TIER))

.PHONY: test-nightly
test-nightly: $(VENV)/.test ## Try fifty times more answers, every language's updates, all traces and older services, today's dependencies, real scans, keyless signatures, every language on GitHub and in a company's network, the devcontainer, an API server
	$(call in_copy,NIGHTLY=1 ANSWER_SETS=50000 $(PYTEST) --numprocesses $(JOBS) tests/scaffold/test_answers.py tests/update)
	$(if $(HOUSE),,NIGHTLY=1 $(PYTEST) tests/house)
	$(if $(HOUSE),,NIGHTLY=1 $(PYTEST_LAB) $(patsubst %,tests/image/test_%.py,service_images older_services dependency_updates ci_image names empty_base house_bases company api_server) \
		$(NIGHTLY_PIPELINES))

.PHONY: test-image
test-image: $(VENV)/.test ## Run the image tier: real images, built and run
	$(call in_copy,$(PYTEST_LAB) $(IMAGE_TIER))

.PHONY: test-pipeline
test-pipeline: $(VENV)/.test ## Run the pipeline tier: whole pipelines, on this machine
	$(call in_copy,$(PYTEST_LAB) $(PIPELINE_TIER))

.PHONY: test
test: test-fast ## Run every test
	$(if $(HOUSE),$(images),$(PYTEST_LAB) $(IMAGE_TIER) $(PIPELINE_TIER))

.PHONY: bench
bench: $(VENV)/.test ## Measure, write docs/benchmark.md: make bench [ONLY=images,template] [LANGUAGES=go]
	@$(VENV)/bin/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(LANGUAGES),--languages $(LANGUAGES)) \
		$(if $(REPEATS),--repeats $(REPEATS)) $(if $(AGAIN),--again) $(if $(SUITE),--suite $(SUITE)) \
		$(if $(DOCS),--docs $(DOCS)) $(if $(REPORT),--report)

.PHONY: release
release: $(VENV)/.test ## Make a release: make release VERSION=1.2.0 (TESTED=<commit that CI tested>)
	@test -n "$(VERSION)" || { echo 'release: say which: make release VERSION=1.2.0' >&2; exit 2; }
	$(if $(TESTED)$(COMMIT),,@test -z "$$(git status --porcelain)" || { echo 'release: commit your changes first, so that the tests are of what is released' >&2; exit 2; })
	$(if $(TESTED)$(COMMIT),,@$(MAKE) test)
	@$(VENV)/bin/python scripts/release.py $(VERSION) --tested $(or $(TESTED),$(shell git rev-parse HEAD)) \
		$(if $(COMMIT),--commit $(COMMIT)) $(if $(WIDENED),--widened $(WIDENED))

.PHONY: blast-radius
blast-radius: $(VENV)/.copier ## Show what a release does to services: make blast-radius FROM=1.1.0
	@test -n "$(FROM)" || { echo 'blast-radius: say since when: make blast-radius FROM=1.1.0' >&2; exit 2; }
	@$(VENV)/bin/python scripts/blast_radius.py --from $(FROM) $(if $(TO),--to $(TO)) --output .cache/blast-radius

.PHONY: clean
clean: ## Remove what the tests and tools left in the checkout
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis
