"""`search report`: what a study found, written from records alone, for a reader who knows no tool.

    study, trial folders -> collect.py -> ReportData -> sections/ -> Document -> Markdown, HTML
                                                                         '-> figures.py (PNG)

Whatever is not recorded is reported as missing. Every comparison names its test and how many runs stand
behind it. The same records give the same report.
"""
