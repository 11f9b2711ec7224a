"""From bytes to durable rows: decode, check, identify, group, write. README.md is the way through."""
