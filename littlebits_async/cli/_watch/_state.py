"""How a watched cloudBit is."""

from ...dashboard import Card
from ...models import StreamState

__all__ = ["state_of"]


def state_of(card: Card) -> StreamState:
    """Tell how a device is: where its stream is, but for one that is open to a bit that is off line.

    A cloud opens that as well, and says nothing on it; so the listing is believed until the first event.
    """
    if card.state is StreamState.LIVE and card.last is None and card.device.is_connected is False:
        return StreamState.OFFLINE
    return card.state
