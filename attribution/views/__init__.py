"""The screens that read the books."""
