"""The service contract (docs/service-contract.md) as black-box checks for any service.

Natively:  PYTHONPATH=tests python -m contract --service-name payments -- ./bin/payments
In pytest: parametrise over CHECKS and call `suite.run(check)`; see test_reference.py.
"""

from contract.launcher import Completed, Launcher, ProcessLauncher, Running
from contract.suite import CHECKS, Check, Limits, StartFailure, Suite

__all__ = [
    "CHECKS",
    "Check",
    "Completed",
    "Launcher",
    "Limits",
    "ProcessLauncher",
    "Running",
    "StartFailure",
    "Suite",
]
