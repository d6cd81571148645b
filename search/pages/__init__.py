"""What optuna-dashboard shows beside its own charts: a trial's page, a report's, and an answer's."""
