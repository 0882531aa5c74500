"""A schedule rebuilds what a service released on an older release of the template.

Its pipeline has the scripts of the checkout and the files of the tag, which know nothing of
each other.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from history import BEFORE, RELEASES, History, update

from rendering import commit_all, git

DIGEST = f"sha256:{'a' * 64}"
IMAGE = "registry.example.com/platform/payments"
CI_IMAGE = f"{IMAGE}/ci"
TOOLS = {
    # Has every base, and of the service's images those that it has tagged.
    "crane": f"""unknown() {{ echo "Error: MANIFEST_UNKNOWN" >&2; exit 1; }}
case "$2" in
  {CI_IMAGE}:*) unknown ;;
  {IMAGE}:*) grep -qx -e "${{2##*:}}" "$HOME/tags" || unknown ;;
esac
case $1 in
  digest) echo {DIGEST} ;;
  tag) echo "$3" >>"$HOME/tags" ;;
  ls) cat "$HOME/tags" ;;
  export) # cosign's image: who signed a base is answered, and any signature is one
    mkdir -p "$HOME/ko-app"
    printf '#!/bin/sh\\necho "$@" >>%s/asked\\n' "$HOME" >"$HOME/ko-app/cosign"
    chmod +x "$HOME/ko-app/cosign"
    tar -c -f "$5" -C "$HOME" ko-app
    ;;
  *) exit 1 ;;
esac
""",
    "executor": """printf '%s\\n' "$@" >"$ARGUMENTS"
while [ "$1" != --digest-file ]; do shift; done
echo sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb >"$2"
""",
}


# 0.1.0 had no pipeline.
@pytest.mark.parametrize("release", [f"v{item['version']}" for item in RELEASES[1:]])
def test_a_release_on_an_older_template_is_rebuilt(
    release: str, history: History, tmp_path: Path
) -> None:
    history.need(release)
    service = history.service(tmp_path / "service", release)
    git(service, "tag", "v1.0.0")
    revision = git(service, "rev-parse", "v1.0.0").strip()
    assert update(service, VERSION=BEFORE).returncode == 0
    commit_all(service, "Update")
    (service / ".gitignore").write_text("")  # the branch goes on
    assert not git(service, "ls-tree", "v1.0.0", "ci/pipeline/")

    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}")
        (tools / name).chmod(0o755)
    (tmp_path / "tags").touch()
    build = service / "ci/pipeline/build.sh"
    build.write_text(build.read_text().replace("/kaniko/executor", "executor"))
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}", "ARGUMENTS": str(tmp_path / "arguments"),
        "HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "config"),
        "IMAGE_REPOSITORY": IMAGE, "CI_IMAGE_REPOSITORY": CI_IMAGE,
        "CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_REF_SLUG": "main", "CI_COMMIT_SHA": "f" * 40, "CI_COMMIT_SHORT_SHA": "f" * 8,
        "CI_PIPELINE_IID": "12", "CI_PIPELINE_CREATED_AT": "2026-03-20T09:30:00Z",
    }  # fmt: skip

    def job(*command: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=service, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    # A team may call a script by the path that 0.2.0 had.
    done = job("sh", "ci/gitlab/release-source.sh")
    assert f"rebuilding v1.0.0 ({revision})" in done.stdout
    assert "ci/gitlab/release-source.sh has moved" in done.stderr
    assert "building 1.0.0 from" in job("sh", "ci/pipeline/resolve.sh").stdout
    done = job("sh", "ci/pipeline/verify-bases.sh")
    assert f"static-debian13@{DIGEST} is signed by keyless@distroless" in done.stdout
    asked = (tmp_path / "asked").read_text()
    assert f"static-debian13@{DIGEST}" in asked
    assert "ghcr.io/osscontainertools/kaniko@sha256:" in asked
    job("sh", "ci/pipeline/build.sh", "ci")
    environment["BUILDER_IMAGE"] = f"{CI_IMAGE}@sha256:{'b' * 64}"
    source = job("sh", "ci/pipeline/source.sh").stdout.strip()
    assert source == ".pipeline/source"
    job("python3", "-B", f"{source}/ci/conformance", "repo")
    job("sh", "ci/pipeline/build.sh", "release")
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert f"dir://{service / source}" in arguments
    assert {"VERSION=1.0.0", f"REVISION={revision}"} <= set(arguments)
    # What the script needs to look at the image is the checkout's, too.
    (service / ".pipeline/release.tar").write_text("an image")
    (tools / "python3").write_text('#!/bin/sh\nprintf "%s\\n" "$*"\n')
    (tools / "python3").chmod(0o755)
    tar = service / ".pipeline/release.tar"
    assert job("sh", "ci/pipeline/verify.sh", "release").stdout == (
        f"ci/conformance image {tar} --repo {source} --strict\n"
    )
    # It has no keys, and an update has brought none: it is promoted with a warning.
    assert not (service / "ci/signing").exists()
    for name, values in {
        "publish": f"RELEASE_DIGEST={DIGEST}\nBUILT_WITH=\n",
        "publish-debug": f"DEBUG_DIGEST={DIGEST}\n",
    }.items():
        (service / f".pipeline/{name}.env").write_text(values)
    done = job("sh", "ci/pipeline/attest.sh")
    assert done.stdout.startswith("WARNING: 1.0.0 is not signed. From 20")
    assert f"RELEASE_DIGEST={DIGEST}\n" in (service / ".pipeline/attest.env").read_text()
    assert "kustomize edit set image" in job("sh", "ci/pipeline/promote.sh").stdout
    tags = (tmp_path / "tags").read_text().split()
    assert sorted(tags) == ["1.0.0", "1.0.0-b12", "1.0.0-b12-debug", "1.0.0-debug"]
