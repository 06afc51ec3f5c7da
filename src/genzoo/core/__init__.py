"""What passes between the parts: errors, batches, noise, images."""
