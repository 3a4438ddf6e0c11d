"""DeepSpeed: its config, its fields, its engine, and parameters that ZeRO-3 has divided."""
