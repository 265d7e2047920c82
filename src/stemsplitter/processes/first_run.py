"""Output of a server's start: its URL and, on the first start, how to sign in and create a split."""

from stemsplitter.processes.first_account import create_first_account, sign_in_link
from stemsplitter.processes.sample_song import sample_request
from stemsplitter.services import Services


def startup_message(services: Services) -> str:
    """Return the text to print when the API is ready. Creates the first account if there is none."""
    url = services.settings.base_url
    lines = [f"Stem Splitter is running on {url}"]
    if (created := create_first_account(services)) is not None:
        account_id, key = created
        header = f"-H 'Authorization: Bearer {key}'"
        body = sample_request(services, account_id)
        lines += [
            "",
            "Sign in with this link, which works once and for an hour, then set a password:",
            sign_in_link(services, account_id),
            "",
            f"Your API key, shown only once: {key}",
            "",
            "Split a sample song:",
            f"curl {url}/v1/audio/splits {header} -H 'Content-Type: application/json' -d '{body}'",
            "",
            "List your splits:",
            f"curl {url}/v1/audio/splits {header}",
        ]
    return "\n".join(lines)
