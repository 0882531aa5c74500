from pathlib import Path

from payments_app.version import read_version


def test_a_checkout_is_dev(tmp_path: Path) -> None:
    assert read_version(tmp_path) == "dev"


def test_a_build_has_the_version_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("1.2.3\n", encoding="utf-8")
    assert read_version(tmp_path) == "1.2.3"
