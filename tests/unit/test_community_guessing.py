"""Who has to wait after wrong passwords, with the time passed in."""

from littlebits_async.localcloud.community._guessing import Guessing


def test_an_address_that_guesses_keeps_nobody_out_elsewhere() -> None:
    guessing = Guessing()
    for second in range(0, 3600, 3):
        if not guessing.wait("mallory", "ada@example.org", second):
            guessing.note_wrong("mallory", "ada@example.org", second)
        assert not guessing.wait("home", "ada@example.org", second)


def test_who_came_in_before_does_so_again_however_many_guess() -> None:
    guessing = Guessing()
    guessing.note_right("home", "ada@example.org")
    for number in range(40):
        assert not guessing.wait("elsewhere", "ada@example.org", 0)
        guessing.note_wrong(f"mallory {number}", "ada@example.org", 0)
    assert guessing.wait("elsewhere", "ada@example.org", 1) == 59
    assert not guessing.wait("elsewhere", "bo@example.org", 1)
    assert not guessing.wait("home", "ada@example.org", 1)
    for _ in range(20):
        guessing.note_wrong("home", "ada@example.org", 2)
    assert guessing.wait("home", "ada@example.org", 3) == 59
    assert guessing.wait("elsewhere", "ada@example.org", 60) == 0
