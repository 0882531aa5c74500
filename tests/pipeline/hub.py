"""GitHub's workflows on this machine: act, and stand-ins for the actions that need GitHub."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from quick import quick
from world import MIRRORED, PASSWORD, USER, World, edit_platform_file, pin_cosign, trust_bases

from github_standin import GitHub
from lab import install
from lab.system import run
from rendering import ROOT

WORKFLOWS = ROOT / "template" / "{{ github }}" / ".github" / "workflows"
REPOSITORY = "acme/payments"

# act's own artifact server does not take the current artifact actions. These copy files, as
# the real ones do with `include-hidden-files`: names of files, and none of their modes.
UPLOAD = """\
name: upload-artifact
inputs:
  name: {}
  path: {}
  include-hidden-files: {default: "false"}
  if-no-files-found: {default: warn}
  overwrite: {default: "false"}
  retention-days: {}
  compression-level: {}
runs:
  using: composite
  steps:
    - shell: sh
      env:
        NAME: ${{ inputs.name }}
        FILES: ${{ inputs.path }}
        HIDDEN: ${{ inputs.include-hidden-files }}
        NONE: ${{ inputs.if-no-files-found }}
        AGAIN: ${{ inputs.overwrite }}
      run: |
        [ "$HIDDEN" = true ] || { echo "hidden files are left out"; exit 1; }
        target=$ARTIFACTS/$NAME
        [ ! -e "$target" ] || [ "$AGAIN" = true ] || { echo "$NAME is there"; exit 1; }
        rm -rf "$target"; mkdir -p "$target"
        for file in $FILES; do
          if [ -d "$file" ]; then
            cp -r "$file/." "$target"
          elif [ -f "$file" ]; then
            cp "$file" "$target/${file#.pipeline/}" && chmod 644 "$target/${file#.pipeline/}"
          fi
        done
        [ -n "$(ls -A "$target")" ] || [ "$NONE" != error ] || { echo "no files"; exit 1; }
"""
DOWNLOAD = """\
name: download-artifact
inputs:
  name: {}
  pattern: {}
  path: {}
  merge-multiple: {default: "false"}
runs:
  using: composite
  steps:
    - shell: sh
      env:
        NAME: ${{ inputs.name }}
        PATTERN: ${{ inputs.pattern }}
        TARGET: ${{ inputs.path }}
        MERGED: ${{ inputs.merge-multiple }}
      run: |
        mkdir -p "$TARGET"
        if [ -n "$NAME" ]; then
          [ -d "$ARTIFACTS/$NAME" ] || { echo "no artifact $NAME"; exit 1; }
          cp -r "$ARTIFACTS/$NAME/." "$TARGET"
        else
          [ "$MERGED" = true ] || { echo "each would be in a folder of its own"; exit 1; }
          for name in $(echo "$PATTERN" | tr '{,}' '   '); do
            [ ! -d "$ARTIFACTS/$name" ] || cp -r "$ARTIFACTS/$name/." "$TARGET"
          done
        fi
"""
STANDINS = {"actions/upload-artifact": UPLOAD, "actions/download-artifact": DOWNLOAD}


def pins(*files: Path) -> dict[str, str]:
    """The actions that workflows name, and the commit of each."""
    texts = "".join(path.read_text(encoding="utf-8") for path in files)
    return dict(re.findall(r"uses: ([\w-]+/[\w-]+)@([0-9a-f]{40})", texts))


class Run:
    """A run that has ended."""

    def __init__(self, code: int, log: str, artifacts: Path) -> None:
        self.code, self.log, self._artifacts = code, log, artifacts

    def _jobs(self, outcome: str) -> list[str]:
        found = re.findall(rf"^\[.*?/([\w-]+) *\] .*Job {outcome}$", self.log, re.MULTILINE)
        return list(dict.fromkeys(found))

    def passed(self) -> list[str]:
        return self._jobs("succeeded")

    def failed(self) -> list[str]:
        return self._jobs("failed")

    def errors(self) -> list[str]:
        found = re.findall(r"\| (error: .*)", self.log)
        return list(dict.fromkeys(found))

    def noted(self, job: str, name: str) -> str:
        text = (self._artifacts / job / f"{job}.env").read_text(encoding="utf-8")
        return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)[0]

    @property
    def build(self) -> str:
        return self.noted("resolve", "BUILD")


class Hub:
    """A service's repository on GitHub, and how to run its workflow."""

    def __init__(self, world: World, directory: Path, repository: str, scratch: Path) -> None:
        self.world, self.directory, self.repository = world, directory, repository
        self.scratch, self.logs, self.number = scratch, "", 0
        self.keys: dict[str, str] = {}
        # A stand-in for the server, where a job asks for it: git, and GitHub's API.
        self.server: GitHub | None = None
        self.actions: dict[str, Path] = {}
        for name, text in STANDINS.items():
            place = scratch / name
            place.mkdir(parents=True)
            (place / "action.yml").write_text(text)
            self.actions[name] = place
        self._docker(scratch / "bin" / "docker")

    def mount(self, *paths: Path) -> None:
        """Give the containers to come these of this machine, to read."""
        with (self.scratch / "volumes").open("a") as file:
            file.writelines(f"--volume={path}:{path}:ro\n" for path in paths)

    @property
    def url(self) -> str:
        return self.server.url if self.server else "https://github.com"

    def _docker(self, program: Path) -> None:
        """The docker of the runner is podman, which has what the lab adds and nothing of its own:
        the credentials are those that the caller has written."""
        settings = {
            name: value
            for name, value in self.world.env.items()
            if name not in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE")
        }
        volumes = self.scratch / "volumes"
        volumes.write_text("".join(f"--volume={volume}\n" for volume in self.world.volumes))
        lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
        program.parent.mkdir(parents=True)
        program.write_text(
            "#!/bin/sh\n"
            + "\n".join(lines)
            + f'\nprintf "%s\\n" "docker $*" >>{self.scratch}/docker.log\n'
            '[ ! -f "$DOCKER_CONFIG/config.json" ] ||\n'
            '  export REGISTRY_AUTH_FILE="$DOCKER_CONFIG/config.json"\n'
            "unset DOCKER_CONFIG\n"
            f'case $1 in run) shift; exec podman run $(cat {volumes}) "$@" ;; esac\n'
            'exec podman "$@"\n'
        )
        program.chmod(0o755)

    def git(self, *arguments: str) -> str:
        return run(["git", "-C", self.directory, *arguments], what="git").strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def sign_with(self, name: str) -> Path:
        """Commit a public key, and have the private one in the environment's secrets."""
        private, public = self.world.key_pair(name)
        listed = self.directory / "ci" / "signing" / "cosign.pub"
        listed.parent.mkdir()
        listed.write_text(public.read_text())
        self.commit(f"Trust the key {name}")
        self.keys = {"COSIGN_PRIVATE_KEY": private.read_text(), "COSIGN_PASSWORD": name}
        return public

    def command(
        self,
        event: str = "push",
        *,
        workflow: str = "ci.yml",
        tag: str = "",
        payload: dict[str, Any] | None = None,
        secrets: dict[str, str] | None = None,
        **variables: str,
    ) -> list[str]:
        self.number += 1
        head = self.git("rev-parse", "HEAD")
        given = payload or {}
        if event == "workflow_dispatch" and payload is None:
            given = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}
        if event == "push":
            given = {"ref": f"refs/tags/{tag}" if tag else "refs/heads/main", "after": head}
        (self.scratch / "event.json").write_text(json.dumps(given))
        artifacts = self.scratch / "artifacts" / str(self.number)
        artifacts.mkdir(parents=True)
        address = self.world.address
        variables = {
            "REGISTRY_MAP": ";".join(f"{host}={address}/mirror" for host in MIRRORED),
            **variables,
        }
        if secrets is None:
            secrets = {"REGISTRY_USER": USER, "REGISTRY_PASSWORD": PASSWORD, **self.keys}
        (self.scratch / "secrets").write_text(
            "".join(f"{name}={json.dumps(value)}\n" for name, value in secrets.items())
        )
        commits = pins(*WORKFLOWS.glob("*.yml"))
        return [
            str(install.act()), event, f"--workflows=.github/workflows/{workflow}",
            f"--eventpath={self.scratch / 'event.json'}", "--container-daemon-socket=-",
            "--pull=false", "--defaultbranch=main",
            f"--secret-file={self.scratch / 'secrets'}", "--concurrent-jobs=2",
            f"--env=GITHUB_RUN_NUMBER={self.number}", f"--env=ARTIFACTS={artifacts}",
            f"--env=GITHUB_SERVER_URL={self.url}", f"--env=GITHUB_API_URL={self.url}/api/v3",
            *self.runner(),
            *(
                f"--local-repository={name}@{commits[name]}={place}"
                for name, place in self.actions.items()
            ),
            *(f"--var={name}={value}" for name, value in variables.items()),
        ]  # fmt: skip

    def runner(self) -> list[str]:
        """A machine with docker, this one."""
        home = self.scratch / "home"
        home.mkdir(exist_ok=True)
        return [
            "--platform=ubuntu-latest=-self-hosted", f"--env=HOME={home}",
            f"--env=PATH={self.scratch / 'bin'}:{os.environ['PATH']}",
        ]  # fmt: skip

    def request(self, source: str) -> dict[str, Any]:
        """The payload of a pull request from a repository."""
        head = {"ref": "Topic/One", "sha": self.git("rev-parse", "HEAD")}
        return {
            "number": 12,
            "pull_request": {
                "number": 12,
                "head": {**head, "repo": {"full_name": source}},
                "base": {"ref": "main", "repo": {"full_name": REPOSITORY}},
            },
        }

    def environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_CACHE_HOME": str(self.scratch / "cache"), "NO_COLOR": "1"}

    def run(self, event: str = "push", **how: Any) -> Run:
        """Run the workflow to its end."""
        done = subprocess.run(
            self.command(event, **how), cwd=self.directory, env=self.environment(), text=True,
            check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self.ended(done.returncode, done.stdout)

    def ended(self, code: int, log: str) -> Run:
        self.logs += log
        return Run(code, log, self.scratch / "artifacts" / str(self.number))

    def kill(self, script: str) -> bool:
        """Kill the container of this service that runs a script, once there is one."""
        words = script.split()
        for _ in range(300):
            if self.world.kill(
                self.repository, lambda config: set(words) <= set(config["Cmd"] or [])
            ):
                return True
            time.sleep(0.1)
        return False

    def tags(self) -> dict[str, str]:
        return self.world.tags(self.repository)

    def manifests(self) -> set[str]:
        return self.world.manifests(self.repository)


def without_queue(directory: Path) -> None:
    """Take the key that act does not know out of promote.yml."""
    edit_platform_file(
        directory / ".github" / "workflows" / "promote.yml",
        directory / "ci" / "github" / "platform.lock",
        lambda text: text.replace(b"      queue: max\n", b""),
    )


def on_github(
    place: World,
    rendered: Path,
    directory: Path,
    group: str,
    scratch: Path,
    *,
    language: str = "go",
    kind: type[Hub] = Hub,
) -> Hub:
    """Make a rendered service a quick one whose workflows act runs."""
    shutil.copytree(rendered, directory, symlinks=True)
    made = kind(place, directory, f"{group}/payments", scratch)
    quick(directory, language)
    workflow = directory / ".github" / "workflows" / "ci.yml"
    text = workflow.read_text()
    images = {name.removeprefix(".in-"): image for name, image in place.tools.items()}
    before, calls, rest = text.partition("\n  promote:\n")
    given = f'/payments"\n      crane-image: "{images.pop("crane")}"\n'
    others = "".join(f'      {name}-image: "{image}"\n' for name, image in images.items())
    before = before.replace('/payments"\n', given + others, 1)
    text = before + calls + rest.replace('/payments"\n', given, 1)
    workflow.write_text(text)
    without_queue(directory)
    pin_cosign(directory, place.cosign)
    trust_bases(directory, place.key_pair("bases")[1])
    made.git("init", "--quiet")
    made.git("remote", "add", "origin", f"https://github.com/{REPOSITORY}.git")
    made.commit("Scaffold payments")
    return made
