"""What the challenge takes: one zip with a mask for each test image, and the solution that made them."""
