"""What a mask's values mean beside the classes."""

IGNORED = 255
"""The value (uint8) of pixels that neither the loss nor the score looks at; classes go up to 254."""
