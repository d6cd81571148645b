"""`search start` and what comes before it: creating or joining a study, checks, estimates, supervision."""
