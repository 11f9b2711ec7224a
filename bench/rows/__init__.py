"""One module a family of figures; each figure is compared with a reference in the same run."""
