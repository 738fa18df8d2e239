"""What the conversion cost: drift, operations and the error of every layer. Statistics stream over batches."""
