"""Helpers beside this file (`differences`, `random_structures`) can be imported by every test below it."""
