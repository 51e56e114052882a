"""Where a helpdesk that cannot sign shows that it knows the secret: in a header, or behind the URL
where it can set no header. The header is better: URLs end up in the logs of proxies.
"""

from __future__ import annotations

from helpdesk_assets.receiver.events import Post
from helpdesk_assets.settings import Settings

IN_URL = "secret"


def secret_of(post: Post, settings: Settings, *, in_url: bool = False) -> str | None:
    """The secret that a post shows, None where it shows none."""
    shown = post.headers.get(settings.webhook_secret_header.lower())
    return shown if shown is not None or not in_url else post.query.get(IN_URL)
