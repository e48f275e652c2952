"""Input events that the cloud pushes: an ASGI application that is a source of `InputEvent`s."""

from ._receiver import WebhookReceiver, WebhookStats

__all__ = ["WebhookReceiver", "WebhookStats"]
