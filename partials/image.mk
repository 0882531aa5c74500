REVISION ?= $(shell git rev-parse --verify --quiet HEAD 2>/dev/null)
CREATED ?= $(lastword $(shell git rev-list --max-count=1 --format=%cI HEAD 2>/dev/null))
PORT ?= 8080
# More build arguments, such as IMAGE_ARGS="HTTPS_PROXY=http://proxy.example.com:3128".
IMAGE_ARGS ?=

# The shell reads them from its environment, where no character of a tag in git is code.
image debug-image run shell verify: export SERVICE_IMAGE = $(IMAGE)
build image debug-image run shell verify: export SERVICE_VERSION = $(VERSION)
image debug-image run shell verify: export SERVICE_REVISION = $(REVISION)
image debug-image run shell verify: export SERVICE_CREATED = $(CREATED)
TAGGED = tag=$$(sh ci/engine.sh tag "$$SERVICE_VERSION")
LABELS = "VERSION=$$SERVICE_VERSION" "REVISION=$$SERVICE_REVISION" "CREATED=$$SERVICE_CREATED"

.PHONY: image
image: ## Build the release image
	@$(TAGGED) && sh ci/engine.sh build release "$$SERVICE_IMAGE:$$tag" $(LABELS) $(IMAGE_ARGS)

.PHONY: debug-image
debug-image: ## Build the debug image: the release image and a shell
	@$(TAGGED) && sh ci/engine.sh build debug "$$SERVICE_IMAGE:$$tag-debug" $(LABELS) $(IMAGE_ARGS)

.PHONY: run
run: image ## Run the release image on port 8080, hardened as in production
	@$(TAGGED) && sh ci/engine.sh run "$$SERVICE_IMAGE:$$tag" $(PORT)

.PHONY: shell
shell: debug-image ## Open a shell in the debug image
	@$(TAGGED) && sh ci/engine.sh shell "$$SERVICE_IMAGE:$$tag-debug"

.PHONY: debug-pod
debug-pod: ## Print the kubectl line for a shell beside a pod: make debug-pod POD=… [RUN=1]
	@sh ci/debug-pod.sh

{% if ci != 'none' %}
.PHONY: provenance
provenance: export SERVICE_IMAGE = $(IMAGE)
provenance: ## Verify an image, and show how it was built: make provenance IMAGE=…
	@sh ci/pipeline/show-provenance.sh "$$SERVICE_IMAGE"

{% endif %}
.PHONY: verify
verify: ## Check the repository, and the images of this version that are built
	@python3 -B ci/conformance repo; repository=$$?; \
		$(TAGGED) && sh ci/engine.sh verify "$$SERVICE_IMAGE:$$tag" && exit $$repository

.PHONY: update
update: ## Bring in the newest release of the service template
	@sh ci/update.sh

.PHONY: update-check
update-check: ## Say whether there is a newer release of the service template
	@sh ci/update.sh check

{% if not platform_code %}
# A bot or an archive may have dropped the run bit of the scripts that are called below.
restore{{ ' ci' if ci == 'gitlab' }}: runnable
.PHONY: runnable
runnable:
	@chmod +x ci/update.sh{{ ' ci/gitlab/local.sh' if ci == 'gitlab' }}

{% endif %}
.PHONY: restore
restore: ## Bring back edited platform files, and touch nothing else
{% if platform_code %}
	@sh ci/update.sh restore
{% else %}
	ci/update.sh restore
{% endif %}
