"""Labelled data, one file a task; the file name is the task's kind."""
