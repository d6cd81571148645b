"""A hyperparameter search service for segmentation. `search/worker/worker.py` is the path of a trial."""
