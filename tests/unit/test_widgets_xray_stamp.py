"""The explorer of the stamp: every value of every control, and its words against the networks' own answers."""

from __future__ import annotations

import re
import time

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.explain import grad_cam
from course_utils.widgets import stamp_explorer
from course_utils.xray import radiographs, stamp, xray_reader


@pytest.fixture(scope="module")
def films():
    return radiographs(4, seed=21)


@pytest.fixture(scope="module")
def nets():
    return {"biased": xray_reader("none"), "repaired": xray_reader("marker at random")}


@pytest.fixture(scope="module")
def explorer(nets, films):
    return stamp_explorer(nets, films)


def words_of(explorer, **setting):
    figure, words = explorer.draw(**{**explorer.values, **setting})
    plt.close(figure)
    return words


@pytest.mark.parametrize("name", ["model", "film", "stamped", "text", "position", "opacity"])
def test_every_value_of_every_control_is_drawn_and_said(explorer, name):
    start = dict(explorer.values)
    control = explorer.controls[name]
    if hasattr(control, "options"):
        values = list(control.options)
    elif hasattr(control, "min"):
        values = list(range(control.min, control.max + 1, control.step))
    else:
        values = [True, False]
    seen = set()
    for value in values:
        explorer.set(**{name: value})
        assert 'role="alert"' not in explorer.html
        assert "<figcaption" in explorer.html and "p(finding)" in explorer.html
        seen.add(explorer.html)
    explorer.set(**start)
    assert len(seen) == len(values)


@pytest.mark.parametrize("model", ["biased", "repaired"])
@pytest.mark.parametrize(
    ("film", "text", "position", "opacity"), [(1, "PORTABLE", "top left", 100), (2, "AP", "center", 50)]
)
def test_the_words_are_the_networks(explorer, nets, films, model, film, text, position, opacity):
    clean = films.clean[film - 1 : film]
    printed = stamp(clean, text, position, opacity / 100)
    with torch.no_grad():
        p = {False: nets[model](clean), True: nets[model](printed)}
    p = {key: float(value.softmax(1)[0, 1]) for key, value in p.items()}
    for stamped in (False, True):
        words = words_of(
            explorer, model=model, film=film, stamped=stamped, text=text, position=position, opacity=opacity
        )
        assert f"answers {'finding' if p[stamped] > 0.5 else 'normal'}" in words
        said = [float(x.replace("<", "")) for x in re.findall(r"(<?\d\.\d\d)", words)]
        assert said[0] == pytest.approx(p[stamped], abs=0.011) and said[1] == pytest.approx(
            p[not stamped], abs=0.011
        )
        assert ("turns the answer" in words) == ((p[True] > 0.5) != (p[False] > 0.5))


@pytest.mark.parametrize("stamped", [False, True])
def test_the_picture_has_the_stamp_or_has_it_not(explorer, films, stamped):
    figure, _ = explorer.draw(**{**explorer.values, "film": 2, "stamped": stamped})
    shown = torch.as_tensor(figure.axes[0].images[0].get_array())
    plt.close(figure)
    clean = films.clean[1:2]
    expected = stamp(clean, explorer.values["text"], explorer.values["position"]) if stamped else clean
    torch.testing.assert_close(shown.float(), expected[0, 0])


def test_the_energy_in_the_finding(explorer, nets, films):
    n = int(films.has_finding.nonzero()[0])
    heat = grad_cam(nets["repaired"], films.clean[n : n + 1], 1).heatmaps()[0, 0]
    expected = float(heat[films.masks["finding"][n]].sum() / heat.sum())
    words = words_of(explorer, model="repaired", film=n + 1, stamped=False)
    assert float(re.search(r"(\d+)% of the map's energy", words)[1]) == pytest.approx(100 * expected, abs=0.6)
    normal = int((~films.has_finding).nonzero()[0])
    assert "There is no finding" in words_of(explorer, film=normal + 1, stamped=True)


def test_an_answer_takes_a_third_of_a_second_at_most(explorer):
    times = []
    for film in (1, 2, 3):
        start = time.process_time()
        explorer.set(film=film, opacity=10 * film)
        times.append((time.process_time() - start) / 2)  # two controls, two pictures
    assert min(times) < 0.3
