.PHONY: ci
ci: ## Run the pipeline on this machine: make ci IMAGE_REPOSITORY=localhost:5000/name
	@sh ci/pipeline/local.sh
