"""The models of the stock objective."""
