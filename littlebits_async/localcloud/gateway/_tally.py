"""What happened at the doors, counted."""

from attrs import asdict, define

__all__ = ["Tally"]


@define
class Tally:
    """Counts since the cloud was made.

    Attributes:
        websocket_bits: Bits of the community firmware that are connected now.
        localbits: Localbits that are heard now.
        accepted: Websockets that came in.
        refused: Websockets that were not let in.
        replaced: Websockets that were closed because the bit came again.
        frames: Frames that bits sent.
        garbage_frames: Of these, those that no firmware sends.
        cut_off: Websockets that were closed for garbage or haste.
        packets: Packets of localbits that were taken.
        wrong_size_packets: Packets dropped for their length.
        unknown_packets: Packets dropped as their bit was not let in.
        misplaced_packets: Packets dropped as their bit is at another address.
    """

    websocket_bits: int = 0
    localbits: int = 0
    accepted: int = 0
    refused: int = 0
    replaced: int = 0
    frames: int = 0
    garbage_frames: int = 0
    cut_off: int = 0
    packets: int = 0
    wrong_size_packets: int = 0
    unknown_packets: int = 0
    misplaced_packets: int = 0

    def counts(self) -> dict[str, int]:
        """Give all of them by name."""
        return asdict(self)
