# What the provider says of a pipeline, under names that the scripts use whatever the
# provider is. This file knows GitLab's own variables; so does template-update.sh, which
# asks GitLab for a merge request.
# shellcheck shell=sh
# shellcheck disable=SC2034 # the scripts that read this use them

# What started it: schedule, request (a merge request), tag or branch.
if [ "${CI_PIPELINE_SOURCE:-}" = schedule ]; then
  trigger=schedule
elif [ -n "${CI_MERGE_REQUEST_IID:-}" ] || [ -n "${CI_EXTERNAL_PULL_REQUEST_IID:-}" ]; then
  trigger=request
elif [ -n "${CI_COMMIT_TAG:-}" ]; then
  trigger=tag
else
  trigger=branch
fi
# A request from another project, in whichever of the two its pipeline runs.
fork=''
[ "${CI_MERGE_REQUEST_SOURCE_PROJECT_ID:-}" = "${CI_MERGE_REQUEST_PROJECT_ID:-}" ] || fork=true

git_revision=${CI_COMMIT_SHA:-}
git_tag=${CI_COMMIT_TAG:-}
git_branch=${CI_COMMIT_BRANCH:-}
# The branch as a part of a name: at most 63 of a-z, 0-9 and -.
branch_name=${CI_COMMIT_REF_SLUG:-}
short_revision=${CI_COMMIT_SHORT_SHA:-}

# A number that rises from pipeline to pipeline, and when this one began.
pipeline_number=${CI_PIPELINE_IID:-}
pipeline_time=${CI_PIPELINE_CREATED_AT:-}

project_url=${CI_PROJECT_URL:-}
# The registry that comes with the project, and the job's own credentials for it.
project_registry=${CI_REGISTRY:-}
project_image=${CI_REGISTRY_IMAGE:-}
project_user=${CI_REGISTRY_USER:-}
project_password=${CI_REGISTRY_PASSWORD:-}
# Its proxy for the public registries.
proxy_registry=${CI_DEPENDENCY_PROXY_SERVER:-}
proxy_user=${CI_DEPENDENCY_PROXY_USER:-}
proxy_password=${CI_DEPENDENCY_PROXY_PASSWORD:-}
