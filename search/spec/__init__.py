"""space.yaml as a `Spec`: text with places, parameters, the space, how it is searched."""
