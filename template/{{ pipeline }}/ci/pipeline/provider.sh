# What the provider says of a pipeline, under names that the scripts use whatever the
# provider is. No other script knows the variables of GitLab and of GitHub.
# shellcheck shell=sh
# shellcheck disable=SC2034 # the scripts that read this use them

if [ "${GITHUB_ACTIONS:-}" = true ]; then
  provider=github
else
  provider=gitlab
fi

if [ "$provider" = github ]; then
  settings=.github/workflows/ci.yml
  request_name='a pull request'
  case ${GITHUB_EVENT_NAME:-}:${GITHUB_REF_TYPE:-} in
    # What watch.yml starts, or a person, is a rebuild, too.
    schedule:* | workflow_dispatch:branch) trigger=schedule ;;
    # A queue's commit is tried before it is merged, as a request is.
    pull_request*:* | merge_group:*) trigger=request ;;
    *:tag) trigger=tag ;;
    *) trigger=branch ;;
  esac
  # A fork's token may not push, and neither may Dependabot's.
  fork=''
  if [ "$trigger" = request ]; then
    [ "${PULL_REQUEST_REPOSITORY:-${GITHUB_REPOSITORY:-}}" = "${GITHUB_REPOSITORY:-}" ] &&
      [ "${GITHUB_ACTOR:-}" != 'dependabot[bot]' ] || fork=true
  fi
  # Later jobs load a CI image that could not be pushed from a file, where they have docker.
  loads_files=true
  [ "${IN_CONTAINER:-}" != true ] || loads_files=''

  git_revision=${GITHUB_SHA:-}
  git_tag='' git_branch=''
  case $trigger in
    tag) git_tag=${GITHUB_REF_NAME:-} ;;
    branch | schedule) git_branch=${GITHUB_REF_NAME:-} ;;
  esac
  branch_name=$(printf '%s' "${GITHUB_HEAD_REF:-${GITHUB_REF_NAME:-}}" |
    tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9' - | cut -c 1-63 | sed 's/^-*//; s/-*$//')
  short_revision=$(printf '%.8s' "$git_revision")

  # A run has no number that a rerun changes. What a service had reached with another
  # provider, or before its workflow was renamed, is the offset.
  pipeline_number=''
  case ${GITHUB_RUN_NUMBER:-none}${BUILD_NUMBER_OFFSET:-0} in
    *[!0-9]*) ;;
    *) pipeline_number=$(awk -v run="$GITHUB_RUN_NUMBER" -v offset="${BUILD_NUMBER_OFFSET:-0}" \
      'BEGIN { printf "%.0f", run + offset }') ;;
  esac
  # GitHub does not say when the run began: `resolve` notes its own time for all jobs.
  pipeline_time=$(date -u +%Y-%m-%dT%H:%M:%SZ)

  project_url=${GITHUB_SERVER_URL:-}/${GITHUB_REPOSITORY:-}
  ref=${GITHUB_REF:-}
  run_url=$project_url/actions/runs/${GITHUB_RUN_ID:-}/attempts/${GITHUB_RUN_ATTEMPT:-1}
  # The workflow that builds, and who Sigstore says has signed in it.
  builder=$project_url/.github/workflows/pipeline.yml
  token_issuer=https://token.actions.githubusercontent.com
  # run.sh says in which image this runs.
  tool_image=${TOOL_IMAGE:-}
  # Where the platform pins the images of its tools.
  pins=ci/github/run.sh
  server_url=${GITHUB_SERVER_URL:-} server_ca=''
  # What a job wants that pushes a branch and opens a request for it: variables, the user that
  # goes with a token, and what the token may do.
  of_branches='GITHUB_API_URL GITHUB_REF_NAME GITHUB_REPOSITORY GITHUB_SERVER_URL'
  push_user=x-access-token
  push_rights='the permissions Contents and Pull requests: read and write, Workflows too for an update of the template'
  # The job's token is for GHCR, and reaches the jobs of a service that is kept there.
  project_registry=ghcr.io
  project_image=ghcr.io/$(printf '%s' "${GITHUB_REPOSITORY:-}" | tr '[:upper:]' '[:lower:]')
  project_user=${GITHUB_ACTOR:-}
  project_password=${GITHUB_TOKEN:-}
  proxy_registry='' proxy_user='' proxy_password=''
else
  settings=.gitlab-ci.yml
  request_name='a merge request'
  # What started it: schedule, request (a merge request), tag or branch.
  # A rebuild that the job watch starts is one of the schedule's.
  if [ "${CI_PIPELINE_SOURCE:-}" = schedule ] || [ "${CI_PIPELINE_SOURCE:-} ${REBUILD:-}" = 'pipeline true' ]; then
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

  # A job's image comes from a registry.
  loads_files=''

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
  ref=refs/heads/${CI_COMMIT_REF_NAME:-}
  [ -z "${CI_COMMIT_TAG:-}" ] || ref=refs/tags/$CI_COMMIT_TAG
  run_url=${CI_PIPELINE_URL:-}
  # The file that GitLab starts from, and who Sigstore says has signed in it.
  builder=$project_url//${CI_CONFIG_PATH:-.gitlab-ci.yml}
  token_issuer=${CI_SERVER_URL:-}
  tool_image=${CI_JOB_IMAGE:-}
  pins=ci/gitlab/pipeline.yml
  server_url=${CI_SERVER_URL:-} server_ca=${CI_SERVER_TLS_CA_FILE:-}
  of_branches='CI_COMMIT_BRANCH CI_PROJECT_URL CI_SERVER_URL'
  push_user=''
  push_rights='the scope write_repository and the role Developer'
  # The registry that comes with the project, and the job's own credentials for it.
  project_registry=${CI_REGISTRY:-}
  project_image=${CI_REGISTRY_IMAGE:-}
  project_user=${CI_REGISTRY_USER:-}
  project_password=${CI_REGISTRY_PASSWORD:-}
  # Its proxy for the public registries.
  proxy_registry=${CI_DEPENDENCY_PROXY_SERVER:-}
  proxy_user=${CI_DEPENDENCY_PROXY_USER:-}
  proxy_password=${CI_DEPENDENCY_PROXY_PASSWORD:-}
fi
