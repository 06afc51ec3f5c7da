"""The parts of a run: its folder, devices, data, tokenizer and model."""
