"""The front door of Python code: a trained model as an object; the tasks draw with it, too."""
