"""Training-free embeddings that convert signals to feature vectors for metrics and nearest neighbours."""
