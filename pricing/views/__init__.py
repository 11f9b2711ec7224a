"""The screens of prices: the book, one model, versions and drafts, imports."""
