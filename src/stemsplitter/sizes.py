"""Numbers of bytes for readers."""


def size(octets: int) -> str:
    """Format bytes as ``812 B``, ``3.4 MB`` or ``12 MB``, in units of 1000."""
    amount, units = float(octets), ["B", "kB", "MB", "GB", "TB"]
    while round(amount) >= 1000 and len(units) > 1:
        amount /= 1000
        del units[0]
    return f"{amount:.0f} {units[0]}" if units[0] == "B" or amount >= 9.95 else f"{amount:.1f} {units[0]}"
