"""Source readers, one file each with a class `Reader`; the file's name is the reader's name in params."""
