"""The parts of `train_fashion_mae.py`: data, model, evaluation, and the table of results."""
