"""How a request is served: an event and what is known in, an effect out. Nothing here sends, stores, waits or reads a clock."""
