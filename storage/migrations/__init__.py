"""Changes of our tables, one file each in `versions`; `storage.schema` runs them."""
