"""Our own GPUs: nodes, deployments, metering, and the split of a pool hour into shares."""
