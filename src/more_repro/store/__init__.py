"""Results on disk: written whole or not at all, named by what they depend on, verified before they are used."""
