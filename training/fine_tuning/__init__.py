"""Fine-tuning: where the weights come from, which layers train, and when."""
