"""Length of AC-3 and E-AC-3 frames, by their headers (ETSI TS 102 366, tables 4.13 and E.2.3.1)."""

_KBIT_PER_S = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_SYNC = b"\x0b\x77"


def frame_bytes(data: bytes) -> int:
    """Return the length of the frame that begins with ``data``; 0 if this is no header."""
    if len(data) < 6 or not data.startswith(_SYNC):
        return 0
    if data[5] >> 3 > 10:  # E-AC-3
        return 2 * ((data[2] & 7) << 8 | data[3]) + 2
    rate, code = data[4] >> 6, data[4] & 63
    if rate == 3 or code // 2 >= len(_KBIT_PER_S):
        return 0
    kbit_per_s = _KBIT_PER_S[code // 2]
    if rate == 1:  # 44.1 kHz: odd codes have a word more
        return 2 * (kbit_per_s * 96_000 // 44_100 + (code & 1))
    return kbit_per_s * (4 if rate == 0 else 6)
