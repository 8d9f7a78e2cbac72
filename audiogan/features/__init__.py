"""Training-free embeddings of signals for distances and neighbours."""
