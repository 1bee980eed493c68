"""Live: everybody's screens are true now. The hub of a process serves its sockets from the outbox."""

from services.live.hub import MEMORY, Hub
from services.live.listener import QUEUE, Ending, Listener

__all__ = ["MEMORY", "QUEUE", "Ending", "Hub", "Listener"]
