"""The screens of this app, one noun a file."""
