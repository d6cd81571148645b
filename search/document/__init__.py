"""YAML documents whose values remember where they were written: space.yaml, dataset.yaml, recorded runs."""
