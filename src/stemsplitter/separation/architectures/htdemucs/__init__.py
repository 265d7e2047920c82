"""HTDemucs: a hybrid transformer on spectrogram and waveform."""
