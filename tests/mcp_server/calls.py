"""Calls of tools by the official client."""

from typing import Any

from mcp import Client


async def called(client: Client, tool: str, **arguments: Any) -> Any:
    """Call a tool that succeeds. Returns its result."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found = result.structured_content
    return found["result"] if set(found) == {"result"} else found


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """Call a tool that fails. Returns its message."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)
