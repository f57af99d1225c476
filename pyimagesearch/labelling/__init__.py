"""From scores to verdicts: labellers, thresholds, batch shifts and validation."""
