"""Fine-tuning: pretrained weights, and which layers are trained when."""
