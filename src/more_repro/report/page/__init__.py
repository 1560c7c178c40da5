"""The page that people read, put together of figures and tables."""
