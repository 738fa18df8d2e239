"""Gates: limits on what a conversion may cost, judged on a report alone, so that a saved one gives the verdict of the run that wrote it."""
