"""A study in the database: created once, opened by everyone, read as plain records."""
