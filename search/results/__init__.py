"""What a search is for: masks, models and submissions by a trial's weights."""
