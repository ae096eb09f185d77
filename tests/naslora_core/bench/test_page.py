import re

import pytest

from naslora_core.bench.page import format_page, verdict


def score(mean, low, high, seeds=3):
    return {"mean": mean, "low": low, "high": high, "seeds": seeds, "images": 40}


def row(difference=None, refused=None):
    return {
        "adapted": score(0.7, 0.6, 0.8),
        "merged": score(0.69, 0.6, 0.8),
        "difference": difference,
        "merge": ["calibrated"],
        "merge_refused": refused,
        "trainable_parameters": 123456,
        "train_seconds": 240,
        "latency_ratio": 1.02,
        "again": "naslora bench --only=leaves:own:seed=7",
    }


@pytest.mark.parametrize(
    ("difference", "word"),
    [
        (score(0.02, 0.001, 0.04), "better own"),
        (score(-0.02, -0.04, -0.001), "worse own"),
        (score(0.02, -0.001, 0.04), "not told apart own"),
        (score(0.0, 0.0, 0.0), "not told apart own"),
        (None, "nothing to compare yet"),
    ],
)
def test_a_row_differs_where_its_interval_excludes_zero(difference, word):
    rows = {"lora": row(), "own": row(difference)}
    assert verdict(rows, "lora") == f"against lora, by 40 test images and 3 seeds, {word}."


def page(**changes):
    rows = {"lora": row(), "own": row(score(0.02, 0.001, 0.04), "it would lose 0.1 <Dice>")}
    summary = {"question": "Which?", "reference": "lora", "domains": {"leaves": rows, "empty": {}}, "cost": {}}
    return format_page(summary | changes, {"leaves": {"convergence": "<svg></svg>"}}, "naslora bench --table=few")


def test_what_is_unknown_stays_empty_and_what_was_refused_says_why():
    text = page()
    assert 'id="empty"' not in text
    assert re.search(r'<a href="#leaves-refused">refused</a>', text)
    assert "own: it would lose 0.1 &lt;Dice&gt;" in text
    assert "<code>naslora bench --table=few</code> makes this page again" in text
    assert "123,456" in text
    assert text.count("<code>naslora bench --only=leaves:own:seed=7</code>") == 2
    cost = {"own": {"ratio": 1.5, "memory_ratio": 1.25}}
    assert "1.50×" not in text
    assert "1.50×" in page(cost=cost)
    assert "1.25×" in page(cost=cost)


def test_what_a_budget_allows_is_shown_where_a_row_keeps_one():
    kept = row() | {"estimated_inference": 1.0187, "adapter_parameters": 59012.0}
    free = row() | {"estimated_inference": None, "adapter_parameters": 49152.0}
    text = page(domains={"leaves": {"searched": kept, "lora": free}})
    assert "1.019×" in text
    assert "59,012" in text
    assert "49,152" in text
    assert "<em>Estimated</em> is the inference time" in text
    assert "Estimated" not in page()


def test_a_rival_is_explained():
    text = page()
    assert "U-Net" not in text
    unet = row(score(-0.1, -0.2, -0.05)) | {"rival_of": "lora", "rates_tried": 3}
    unet |= {"learning_rates": [0.001, 0.003], "merge": ["none"]}
    told = "leaves, unet: a U-Net from scratch, trained for as long as lora with the same seed"
    rows = {"lora": row(), "unet": unet | {"train_cpu_seconds": 150.2}}
    text = page(domains={"leaves": rows})
    assert f"<li>{told} (150 CPU seconds on the mean); of 3 learning rates" in text
    assert "here 0.001 or 0.003. It has no epochs" in text
    assert f"{told}; of" in page(domains={"leaves": rows | {"unet": unet | {"train_cpu_seconds": None}}})
    single = unet | {"train_cpu_seconds": 150.2, "rates_tried": 1, "learning_rates": [0.003]}
    text = page(domains={"leaves": rows | {"unet": single}})
    assert "at the learning rate 0.003, the only one of this table." in text


def test_links_lead_to_places_on_the_page_and_nothing_else_is_asked_for():
    text = page()
    places = set(re.findall(r'href="#([^"]+)"', text))
    assert places == {"leaves", "leaves-refused"}
    assert all(f'id="{place}"' in text for place in places)
    assert not re.findall(r"(?:src|href)=[\"'](?!#)|url\((?!#)|@import|https?://", text)
