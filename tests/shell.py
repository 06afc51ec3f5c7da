"""Commands as a person types them, each in a process of its own; see `bench.shell`."""

from bench.shell import Command, Result

__all__ = ["Command", "Result"]
