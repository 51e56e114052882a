"""The settings with which a sync logs in at the simulated helpdesk, by the provider's name."""

from __future__ import annotations

from collections.abc import Mapping

from helpdesk_assets.local.simulator.dialects import zendesk_tokens, zoho_desk_tokens

REQUEST_TRACKER_USER = "sync"


def login_settings(dialect: str, url: str, token: str) -> Mapping[str, str]:
    """Return the environment variables of a login, in the order of `.env.example`.

    Args:
        dialect: the provider whose API the helpdesk has.
        url: the helpdesk's address.
        token: the token that it was started with.
    """
    return {"HELPDESK_PROVIDER": dialect, "HELPDESK_BASE_URL": url, **_login(dialect, url, token)}


def _login(dialect: str, url: str, token: str) -> Mapping[str, str]:
    match dialect:
        case "zendesk":
            return {
                "ZENDESK_CLIENT_ID": zendesk_tokens.CLIENT_ID,
                "ZENDESK_CLIENT_SECRET": token,
            }
        case "zoho_desk":
            return {
                "ZOHO_ACCOUNTS_URL": url,
                "ZOHO_ORG_ID": zoho_desk_tokens.ORG_ID,
                "ZOHO_CLIENT_ID": zoho_desk_tokens.CLIENT_ID,
                "ZOHO_CLIENT_SECRET": zoho_desk_tokens.CLIENT_SECRET,
                "ZOHO_REFRESH_TOKEN": token,
            }
        case "request_tracker":
            return {"HELPDESK_USER": REQUEST_TRACKER_USER, "HELPDESK_API_TOKEN": token}
        case _:
            return {"HELPDESK_API_TOKEN": token}
