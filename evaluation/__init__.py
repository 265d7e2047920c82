"""Quality of the models: SDR on songs with public true stems, compared with simple references."""
