import pytest

from payments_app.__main__ import main
from payments_app.settings import Settings


def test_defaults() -> None:
    assert Settings().port == 8080


def test_wrong_values_are_named_and_not_shown(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("PORT", "s3cret")
    environment.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(":")[0] for line in err.splitlines()] == ["PORT", "LOG_LEVEL"]
    assert "s3cret" not in err
