"""Testing handlers without a cluster.

from millrace.testing import TestWorker

with TestWorker(total) as worker:
    worker.feed("ann", {"amount": 3})
    worker.feed("ann", {"amount": 4})
    worker.run()
    assert worker.values == [{"total": 3}, {"total": 7}]
    assert worker.state("ann") == {"total": 7}
"""

from .dispatch import DeadLetter, Output
from .judge import Lie
from .worker import TestWorker

__all__ = ["DeadLetter", "Lie", "Output", "TestWorker"]
