import pytest

from payments_app.cli import run
from payments_app.version import SERVICE, VERSION


def test_version_reads_no_configuration(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "http")
    assert run(["version"]) == 0
    assert capsys.readouterr() == (f"{SERVICE} {VERSION}\n", "")


@pytest.mark.parametrize("arguments", [["serve"], ["--help"], ["version", "now"], [""]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr() == ("", f"usage: {SERVICE} [version | healthcheck]\n")


@pytest.mark.parametrize("arguments", [[], ["healthcheck"]])
def test_configuration_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "http")
    assert run(arguments) == 2
    error = 'configuration error: PORT: got "http", want an integer from 1 to 65535\n'
    assert capsys.readouterr() == ("", error)
