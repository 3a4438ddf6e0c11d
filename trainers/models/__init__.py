"""Sources of pretrained models, one file each; the file name is the source's kind."""
