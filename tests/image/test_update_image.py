"""The image that the platform team builds for the job template-update."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import Lab
from rendering import ROOT, Render, commit_all, copy_template, git


def test_it_has_what_the_job_needs(lab: Lab, render: Render, tmp_path: Path) -> None:
    """As any user, with nothing installed and nothing fetched."""
    context = tmp_path / "context"
    context.mkdir()
    for name in ("pyproject.toml", "uv.lock", "scripts/template-update.Dockerfile"):
        shutil.copy2(ROOT / name, context)
    image = lab.build(context, dockerfile="template-update.Dockerfile")
    assert image.config["User"] == "65532:65532"

    template = copy_template(tmp_path / "work" / "template")
    commit_all(template, "One")
    git(template, "tag", "v1.0.0")
    commit_all(template, "Two")
    git(template, "tag", "v1.1.0")
    service = tmp_path / "work" / "service"
    shutil.copytree(render(), service, symlinks=True)
    answers = service / ".copier-answers.yml"
    lines = [
        line for line in answers.read_text().splitlines() if not line.startswith(("_src", "_com"))
    ]
    answers.write_text("\n".join([*lines, "_commit: v1.0.0", "_src_path: /work/template", ""]))
    commit_all(service, "Scaffold")
    (tmp_path / "work/gitconfig").write_text("[safe]\n\tdirectory = *\n")
    for path in (tmp_path / "work").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o666 | (0o111 if path.is_dir() else 0))

    result = lab.call(
        image, ["sh", "-c", "cd /work/service && ci/update.sh check"],
        {"GIT_CONFIG_GLOBAL": "/work/gitconfig"},
        mounts=[f"{tmp_path}/work:/work"], read_only=False,
    )  # fmt: skip
    assert result.exit_code == 2, result.stderr
    assert "is on v1.0.0; 1.1.0 is available" in result.stdout
