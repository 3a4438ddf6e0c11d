"""Read, draw, check and encode the rows of tasks; find and download their files."""
