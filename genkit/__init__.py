"""Thin helpers for the pages of How Generative Models Learn; import from the modules, e.g. `genkit.data`."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("genkit-book")
except PackageNotFoundError:  # run from a clone, not installed
    __version__ = "0+unknown"
