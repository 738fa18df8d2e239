"""What networks are for, one module per task: the measures of each, of both networks on the same samples."""
