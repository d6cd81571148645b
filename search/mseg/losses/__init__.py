"""The training loss: a weighted sum of terms."""
