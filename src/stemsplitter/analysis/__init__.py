"""What a file that a stranger sent is: recognised by its first bytes, measured by decoding it in a limited process."""
