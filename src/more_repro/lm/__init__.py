"""Language models: making and loading bases, tokens, training, generation. Knows models, not preferences."""
