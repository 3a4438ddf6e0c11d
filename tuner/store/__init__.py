"""What launchers share: a store's folder, its database, what was begun and how it ended."""
