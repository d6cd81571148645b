"""Simulated studies whose truth is known: learning curves, samplers, pruners, studies in virtual time."""
