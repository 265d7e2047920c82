"""Server of the Model Context Protocol: assistants split, analyze and transform songs of some folders."""
