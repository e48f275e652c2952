"""What the community's API says of bits and kits, those in the shop and those in a library: frozen values.

What is left out is as in the models of projects.

Source: spec/mobile-application-api.txt, "My Library" and "Product and Variants".
"""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

__all__ = ["KitBit", "LibraryChange", "LibraryItem", "Product", "ProductImage", "Variant"]


class LibraryChange(StrEnum):
    """What to do with a number of bits of a library."""

    ADD = "add"
    SUBTRACT = "subtract"


@frozen
class LibraryItem:
    """A bit, an accessory or a kit in a user's library.

    Attributes:
        variant_id: The product's variant.
        product_id: The product.
        quantity: How many of it.
        title: Its name.
        description: What it is.
        type: ``Bit``, ``Kit`` or ``Accessory``.
        bit_type: ``power``, ``input``, ``output`` or ``wire``; None for what is no bit.
        images: Pictures.
    """

    variant_id: int
    product_id: int | None = None
    quantity: int | None = None
    title: str = ""
    description: str = ""
    type: str | None = None
    bit_type: str | None = None
    images: tuple[str, ...] = ()


@frozen
class ProductImage:
    """A picture of a product.

    Attributes:
        url: Where it is.
        position: Its place among the others.
        type: Its media type.
    """

    url: str
    position: int | None = None
    type: str | None = None


@frozen
class KitBit:
    """A bit in a kit.

    Attributes:
        variant_id: The product's variant.
        product_id: The product.
        quantity: How many of it.
        updated_at: When that was last changed.
    """

    variant_id: int
    product_id: int | None = None
    quantity: int | None = None
    updated_at: datetime | None = None


@frozen
class Variant:
    """A form in which a product is sold.

    Attributes:
        id: The variant.
        type: ``Bit``, ``Kit`` or ``Accessory``.
        bit_type: ``power``, ``input``, ``output`` or ``wire``; None for what is no bit.
        is_master: Whether it is the product's main one.
        images: Pictures.
        kit_bits: What is in the kit; empty where it is none.
    """

    id: int
    type: str | None = None
    bit_type: str | None = None
    is_master: bool | None = None
    images: tuple[ProductImage, ...] = ()
    kit_bits: tuple[KitBit, ...] = ()


@frozen
class Product:
    """A bit, a kit or an accessory.

    Attributes:
        id: The product.
        name: Its name.
        type: ``Bit``, ``Kit`` or ``Accessory``.
        bit_type: ``power``, ``input``, ``output`` or ``wire``; None for what is no bit.
        bit_variant_ids: Variants of bits that a kit is listed with; what is in it, and how often, its variants say.
        description: What it is.
        short_description: The same in a sentence or two.
        slug: Its name in addresses.
        available_on: When it came to the shop.
        updated_at: When it was last changed.
        cost: A price, in what currency nobody says.
        inactive: Whether it is retired.
        variants: The forms in which it is sold.
    """

    id: int
    name: str = ""
    type: str | None = None
    bit_type: str | None = None
    bit_variant_ids: tuple[int, ...] = ()
    description: str = ""
    short_description: str = ""
    slug: str = ""
    available_on: datetime | None = None
    updated_at: datetime | None = None
    cost: float | None = None
    inactive: bool | None = None
    variants: tuple[Variant, ...] = ()
