"""A worker process. `worker.py` is the path of a trial."""
