"""Training with Lightning: modules, the moving average, callbacks and the trainer."""
