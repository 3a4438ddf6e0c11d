"""Forms of the report, one file each; the file name is what `--format` takes."""
