"""The registrations of one server: in memory first, written to the location service behind, looked up without waiting.

Not here: the decisions about a REGISTER (`sipmesh.routing.registrar`), and the stored rows (`sipmesh.storage.location_service`).
"""
