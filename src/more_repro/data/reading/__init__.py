"""From a source's files to its pairs: which reader, which rows, what was found."""
