"""The executor `ray`: each run on a node of a Ray cluster, in a process of its own there."""
