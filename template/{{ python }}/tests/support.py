from collections.abc import Callable
from typing import Any

type ReadLog = Callable[[], list[dict[str, Any]]]
