"""Names as each output writes them."""

import re


def snake(name: str) -> str:
    """HelloResponse -> hello_response."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
