"""Shared by the benchmarks that break things: hosts and a server to break, and what must hold after."""
