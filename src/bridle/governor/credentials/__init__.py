"""Credentials of systems: who may use one, for which attempt, until when; sealed secrets."""
