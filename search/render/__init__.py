"""One document model, and its renderers: terminal, Markdown, HTML."""
