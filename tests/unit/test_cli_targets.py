"""Which cloudBits a name means."""

import pytest

from littlebits_async import Device
from littlebits_async.cli._errors import CommandError, ExitCode
from littlebits_async.cli._targets import choose, choose_one, is_id, is_pattern

DEVICES = [
    Device("00e040000001", "Kitchen lamp"),
    Device("00e040000002", "kitchen fan"),
    Device("00e040000003", "dimmer"),
    Device("00e040000004", "dimmer 2"),
    Device("00e040000005", "door"),
    Device("00e040000006", "door"),
    Device("00e040000007", "DOOR"),
    Device("00e040000008", "a[1]"),
    Device("00e040000009"),
]


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("00e040000003", "3"),
        ("00e040000009", "9"),
        ("dimmer", "3"),  # the label itself before those that begin so
        ("dimmer ", "4"),
        ("KITCHEN L", "1"),
        ("kitchen*", "12"),
        ("*[24]", "4"),
        ("d?mmer", "3"),
        ("a[1]", "8"),  # a label before a pattern
        ("DOOR", "7"),  # small and capital letters count where they tell two apart
        ("all", "123456789"),
    ],
)
def test_a_name_means(name: str, numbers: str) -> None:
    assert "".join(device.id[-1] for device in choose(DEVICES, name)) == numbers


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("door", ExitCode.USAGE, "'door' is the label of 2 cloudBits, 00e040000005 (door), 00e040000006 (door): name"),
        (
            "kitchen",
            ExitCode.USAGE,
            "'kitchen' is the beginning of the labels of 2 cloudBits, 00e040000001 (Kitchen",
        ),
        ("dimer", ExitCode.REFUSED, "no cloudBit is named 'dimer': did you mean 'dimmer' or 'dimmer 2'?"),
        ("kitchen lump", ExitCode.REFUSED, "did you mean 'Kitchen lamp'"),
        ("00e040000010", ExitCode.REFUSED, "did you mean '00e04000000"),
        ("zzz", ExitCode.REFUSED, "`littlebits devices` lists yours"),
        ("zzz*", ExitCode.REFUSED, "no cloudBit is named 'zzz*'"),
        ("", ExitCode.REFUSED, "no cloudBit is named ''"),
    ],
)
def test_a_name_that_does_not_tell_which_is_an_error(name: str, code: ExitCode, said: str) -> None:
    with pytest.raises(CommandError) as caught:
        choose(DEVICES, name)
    assert said in str(caught.value)
    assert caught.value.code is code


def test_all_of_none_is_an_error() -> None:
    with pytest.raises(CommandError, match="littlebits activate"):
        choose([], "all")


def test_one_is_not_several() -> None:
    assert choose_one(DEVICES, "dimmer").id == "00e040000003"
    with pytest.raises(CommandError, match=r"'d\*' means 5 cloudBits, .*: name one"):
        choose_one(DEVICES, "d*")
    with pytest.raises(CommandError, match="and 4 more: name one"):
        choose_one(DEVICES, "all")


def test_what_looks_like_an_id_or_a_pattern() -> None:
    assert [is_id(name) for name in ("00e040000001", "00E040000001", "00e04000001", "dimmer")] == [
        *(True, False, False, False)
    ]
    assert [is_pattern(name) for name in ("all", "a*", "a?", "[ab]", "alley")] == [True, True, True, True, False]
