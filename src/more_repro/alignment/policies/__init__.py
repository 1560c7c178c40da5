"""Policies fine-tuned on picked responses, and the perplexity that they pay."""
