"""Training helpers, one module per framework; none of them is imported by the rest of the package."""
