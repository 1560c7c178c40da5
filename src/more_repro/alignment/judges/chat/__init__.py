"""A judge behind an OpenAI-compatible chat endpoint: budget, waiting, cached replies."""
