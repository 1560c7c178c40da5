"""Reward models: encoding, training with lambda over K sources, scoring. Only here are z, margins and lambda made."""
