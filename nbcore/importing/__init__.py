"""Models of other programs, read without these programs."""
