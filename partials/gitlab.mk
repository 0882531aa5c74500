.PHONY: ci
ci: ## Run the pipeline on this machine: make ci IMAGE_REPOSITORY=localhost:5000/name
{% if platform_code %}
	@sh ci/pipeline/local.sh
{% else %}
	@ci/gitlab/local.sh
{% endif %}
