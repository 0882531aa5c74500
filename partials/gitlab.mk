.PHONY: ci
ci: ## Run the pipeline on this machine: make ci IMAGE_REPOSITORY=localhost:5000/name
	@IMAGE_REPOSITORY='$(IMAGE_REPOSITORY)' ci/gitlab/local.sh
