"""Diffusion processes, predictions and samplers: functions of tensors, no networks."""
