"""How different the sources are: lengths, words, overlap, and how far their preferences agree."""
