from naslora_core.spacing import evenly_spaced, first_to_last


def test_evenly_spaced_items_start_with_the_first():
    assert evenly_spaced("abcdefgh", 4) == ["a", "c", "e", "g"]
    assert evenly_spaced(range(5), 3) == [0, 1, 3]


def test_from_the_first_to_the_last_both_are_among_them():
    assert first_to_last(range(10), 4) == [0, 3, 6, 9]
    assert first_to_last("abc", 2) == ["a", "c"]


def test_all_items_are_returned_where_there_are_no_more():
    for choose in (evenly_spaced, first_to_last):
        assert choose(range(7), 32) == list(range(7))
        assert choose([], 32) == []
