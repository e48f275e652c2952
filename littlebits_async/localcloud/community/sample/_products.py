"""Bits, kits that are made of them, and what goes with them."""

from functools import partial
from typing import Final

from .._catalogue import Product

__all__ = ["PRODUCTS"]

_bit = partial(Product, type="Bit", available_on="2024-03-01")

USB_POWER, BUTTON, DIMMER, LIGHT_SENSOR, SOUND_TRIGGER, CLOUDBIT, INVERTER, FORK = range(101, 109)
LED, BUZZER, FAN, SERVO = range(109, 113)
BOARD, LONG_BOARD = 113, 114
FIRST_CIRCUITS, HOME = 121, 122

PRODUCTS: Final = (
    _bit(
        id=1,
        name="usb power",
        bit_type="power",
        short_description="Feeds a circuit from a USB socket.",
        description="Every circuit begins with power. This one takes it from any USB charger, so that what you build"
        " can run for weeks.",
        variants=(USB_POWER,),
    ),
    _bit(
        id=2,
        name="button",
        bit_type="input",
        short_description="Lets the signal through while it is pressed.",
        description="The plainest of all inputs: on while you press it, off when you let go. Put it in front of"
        " anything that should wait for a finger.",
        variants=(BUTTON,),
    ),
    _bit(
        id=3,
        name="dimmer",
        bit_type="input",
        short_description="A knob from nothing to all.",
        description="Turn it, and what stands behind it gets a little more or a little less. What it hands on is any"
        " value between off and on.",
        variants=(DIMMER,),
    ),
    _bit(
        id=4,
        name="light sensor",
        bit_type="input",
        short_description="The brighter it is, the stronger its signal.",
        description="It looks at the light around it. With an inverter behind it a circuit wakes up when it gets dark.",
        variants=(LIGHT_SENSOR,),
    ),
    _bit(
        id=5,
        name="sound trigger",
        bit_type="input",
        short_description="Switches on for a moment when it hears something.",
        description="Clap, knock or shout: it passes a short signal on, and is quiet again.",
        variants=(SOUND_TRIGGER,),
    ),
    _bit(
        id=6,
        name="cloudBit",
        bit_type="wire",
        short_description="Carries a signal into the cloud, and out of it.",
        description="What comes in on its left goes to the cloud; what the cloud says comes out on its right. The two"
        " need not be in the same house.",
        variants=(CLOUDBIT,),
    ),
    _bit(
        id=7,
        name="inverter",
        bit_type="wire",
        short_description="Turns on into off, and off into on.",
        description="Whatever comes in strong goes out weak, and the other way round.",
        variants=(INVERTER,),
    ),
    _bit(
        id=8,
        name="fork",
        bit_type="wire",
        short_description="One signal in, three out.",
        description="Splits a circuit into three branches, all of which get the same signal.",
        variants=(FORK,),
    ),
    _bit(
        id=9,
        name="bright led",
        bit_type="output",
        short_description="A small light, and a strong one.",
        description="It glows as bright as its signal is strong. Do not look straight into it.",
        variants=(LED,),
    ),
    _bit(
        id=10,
        name="buzzer",
        bit_type="output",
        short_description="Makes itself heard.",
        description="An honest, unpleasant noise, for what must not be missed.",
        variants=(BUZZER,),
    ),
    _bit(
        id=11,
        name="fan",
        bit_type="output",
        short_description="A little wind on a wire.",
        description="Moves paper, bubbles and warm air. The stronger the signal, the faster it turns.",
        variants=(FAN,),
    ),
    _bit(
        id=12,
        name="servo",
        bit_type="output",
        short_description="An arm that goes where it is told.",
        description="Points to a place between left and right, as the signal says: for pointers, flags, small doors.",
        variants=(SERVO,),
    ),
    Product(
        id=13,
        name="mounting board",
        type="Accessory",
        short_description="Holds a circuit together.",
        description="Press the feet of your bits into it, and carry the whole circuit about. There is a short one and"
        " a long one.",
        variants=(BOARD, LONG_BOARD),
        available_on="2024-03-01",
    ),
    Product(
        id=21,
        name="First Circuits Kit",
        type="Kit",
        short_description="Six bits for the first afternoon.",
        description="Power, three ways to start something, and two things that can happen.",
        variants=(FIRST_CIRCUITS,),
        contents={USB_POWER: 1, BUTTON: 1, DIMMER: 1, LIGHT_SENSOR: 1, LED: 2, BUZZER: 1},
        available_on="2024-04-01",
    ),
    Product(
        id=22,
        name="Connected Home Kit",
        type="Kit",
        short_description="What a house needs to tell you things.",
        description="Two cloudBits and all that goes before and behind them, with boards to put it up for good.",
        variants=(HOME,),
        contents={
            USB_POWER: 2,
            CLOUDBIT: 2,
            BUTTON: 1,
            LIGHT_SENSOR: 1,
            SOUND_TRIGGER: 1,
            INVERTER: 1,
            LED: 1,
            SERVO: 1,
            BOARD: 2,
        },
        available_on="2024-06-01",
    ),
)
