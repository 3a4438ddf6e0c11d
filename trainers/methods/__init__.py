"""Ways of training, one file each; the file name is the method's kind."""
