"""What records say: comparisons, noise, paired seeds, racing, ablation, importance, the pruning audit."""
