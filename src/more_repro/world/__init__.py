"""The embedded world: a seeded grammar of prompts and responses, and the known utility that orders them."""
