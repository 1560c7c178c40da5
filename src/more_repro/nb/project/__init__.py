"""Commands for people: environment, presets, machine."""
