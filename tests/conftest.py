"""Helpers beside this file (`brute`, `differences`, `random_structures`) can be imported by every test below it."""
