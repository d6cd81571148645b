"""The SQL side of the service: engines, leases and plain reads. Imports nothing of `search`."""
