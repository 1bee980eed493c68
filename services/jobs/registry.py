"""Every module with tasks: whoever runs tasks imports this, and has them all."""

from services import deliveries, files, pruning, recovery, sweep  # noqa: F401
from services.jobs import runs  # noqa: F401
