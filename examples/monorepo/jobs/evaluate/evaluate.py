"""Stands for an evaluation."""

print("evaluated")
