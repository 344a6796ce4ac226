"""The arena: methods side by side on problems with a gap between the loss and the metric."""
