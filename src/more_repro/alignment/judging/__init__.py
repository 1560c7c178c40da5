"""Who is compared with whom, the verdicts, and the win rates and rankings made of them."""
