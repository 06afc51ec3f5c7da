"""What Lightning does: steps, the moving average, and what happens around them."""
