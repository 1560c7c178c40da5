"""What DVC cannot know: digests of code and of local files, and outputs that nothing asks for."""
