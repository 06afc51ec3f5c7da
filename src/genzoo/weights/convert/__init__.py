"""Released checkpoints to ours and back: plain functions of state dicts."""
