"""Numbers printed in the paper, as data."""
