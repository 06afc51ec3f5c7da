"""genzoo: families of image generators, trained on the same captions and compared on equal terms."""

__version__ = "0.1.0"
