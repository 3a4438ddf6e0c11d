"""The executor `process`: each run in processes of its own, one a rank."""
