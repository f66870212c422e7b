"""A commit becomes a job: a versioned, runnable blueprint with a container image."""

__version__ = "0.1.0"
