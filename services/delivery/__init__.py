"""How messages leave: one module a kind of channel, all with the interface of `sender`."""
