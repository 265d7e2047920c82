"""SCNet: a U-Net in three bands of frequency with LSTMs along frequency and time."""
