"""What a run is made of: its folder, devices, data, tokenizer and model."""
