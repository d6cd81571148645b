"""Settings that older versions had."""

FORMER = {"loss.kind": "ce_dice"}
"""Settings that are gone, with the one value they had: documents of older versions give them."""
