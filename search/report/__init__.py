"""`search report`: what a study found, written from records alone, for a reader who knows no tool.

    Study, trial folders ── search.report.gathering ──► Material ── sections ──► Document ──► Markdown, HTML
                                                              │
                                                              └─► figures (PNG)

Whatever is not recorded is said to be missing; whatever compares two things says by which test, and how
many runs stand behind it. The same records give the same report.
"""
