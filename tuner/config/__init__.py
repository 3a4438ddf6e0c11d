"""What a study says: the YAML file, its fields, its cells."""
