"""What the paper's printed numbers can and cannot show."""
