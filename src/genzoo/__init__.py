"""genzoo: families of image generators, trained on the same captions and compared."""

__version__ = "0.1.0"
