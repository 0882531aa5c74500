REVISION ?= $(shell git rev-parse --verify --quiet HEAD 2>/dev/null)
CREATED ?= $(shell git show --no-patch --format=%cI HEAD 2>/dev/null)
PORT ?= 8080
IMAGE_ARGS ?= VERSION=$(VERSION) REVISION=$(REVISION) CREATED=$(CREATED)

.PHONY: image
image: ## Build the release image
	ci/engine.sh build release $(IMAGE):$(VERSION) $(IMAGE_ARGS)

.PHONY: debug-image
debug-image: ## Build the debug image: the release image and a shell
	ci/engine.sh build debug $(IMAGE):$(VERSION)-debug $(IMAGE_ARGS)

.PHONY: run
run: image ## Run the release image on port 8080, hardened as in production
	ci/engine.sh run $(IMAGE):$(VERSION) $(PORT)

.PHONY: shell
shell: debug-image ## Open a shell in the debug image
	ci/engine.sh shell $(IMAGE):$(VERSION)-debug

.PHONY: verify
verify: ## Check the repository, and the images of this version that are built
	@python3 -B ci/conformance repo; repository=$$?; \
		ci/engine.sh verify $(IMAGE):$(VERSION) && exit $$repository

.PHONY: update
update: ## Bring in the newest release of the service template
	ci/update.sh

.PHONY: update-check
update-check: ## Say whether there is a newer release of the service template
	ci/update.sh check

.PHONY: restore
restore: ## Bring back edited platform files, and touch nothing else
	ci/update.sh restore
