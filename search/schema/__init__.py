"""JSON Schemas of space.yaml and dataset.yaml for editors, made of the Configs and registries."""
