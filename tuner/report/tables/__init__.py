"""The frames of a comparison, one file each."""
