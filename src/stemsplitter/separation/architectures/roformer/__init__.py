"""BS-RoFormer and Mel-Band RoFormer: transformers along time and along bands of frequency."""
