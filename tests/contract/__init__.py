"""The service contract (docs/service-contract.md) as black-box checks for any service.

Natively:  PYTHONPATH=tests python -m contract --service-name payments -- ./bin/payments
In pytest: parametrise over CHECKS and call `suite.run(check)`; see test_reference.py.

CHECKS are for every service. ADDITION_CHECKS are for one with the four additions of
tests/image/additions, TRACING_CHECKS for one made with the answer `tracing`.
"""

from contract.additions import ADDITION_CHECKS, ADDITION_ENV, ADDITION_ROUTES
from contract.harness import Check, Limits, StartFailure, Suite
from contract.launcher import Completed, Launcher, ProcessLauncher, Running
from contract.suite import CHECKS, LACKS, ROUTES
from contract.tracing import TRACING_CHECKS

__all__ = [
    "ADDITION_CHECKS",
    "ADDITION_ENV",
    "ADDITION_ROUTES",
    "CHECKS",
    "LACKS",
    "ROUTES",
    "TRACING_CHECKS",
    "Check",
    "Completed",
    "Launcher",
    "Limits",
    "ProcessLauncher",
    "Running",
    "StartFailure",
    "Suite",
]
