"""What a trial trains: the samplers by name, and how one is asked."""
