"""A line of curl that makes a split."""

_LINE = """curl {url}/v1/audio/splits \\
  -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
  -d '{{"input": {{"type": "direct_url", "url": "https://example.com/song.mp3"}}}}'"""


def curl_line(base_url: str, key: str = "YOUR_API_KEY") -> str:
    """It, with a key filled in."""
    return _LINE.format(url=base_url, key=key)
