"""Tables as people read them: rows chosen, columns named, numbers rounded."""
