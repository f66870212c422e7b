"""What both jobs could share; the one that builds from the root has it."""


def accuracy(hits: int, total: int) -> float:
    """Part of the answers that were right."""
    return hits / total if total else 0.0
