.PHONY: ci
ci: ## Run the pipeline on this machine: make ci IMAGE_REPOSITORY=localhost:5000/name
	@ci/gitlab/local.sh
