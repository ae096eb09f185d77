from naslora_core.data.prepared.prepared import evenly_spaced


def test_evenly_spaced_items_start_with_the_first():
    assert evenly_spaced("abcdefgh", 4) == ["a", "c", "e", "g"]
    assert evenly_spaced(range(5), 3) == [0, 1, 3]


def test_all_items_are_returned_where_there_are_no_more():
    assert evenly_spaced(range(7), 32) == list(range(7))
    assert evenly_spaced([], 32) == []
