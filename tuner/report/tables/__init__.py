"""Tables of the report, one file each; the file name is the table's kind."""
