"""What `import search` offers: a study that is open, and a search that runs. Thin over the other rooms."""
