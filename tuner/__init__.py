"""Choose, record, compare: studies of ways to fine-tune."""
