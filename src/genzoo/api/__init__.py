"""The Python API: a trained model as an object, which the tasks sample with, too."""
