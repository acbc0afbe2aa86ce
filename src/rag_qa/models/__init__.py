"""Everything that runs a neural network: text in, numbers out."""
