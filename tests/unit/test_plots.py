"""The figures that all notebooks share: what they refuse, say, and leave alone."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from course_utils.explain import Explanation
from course_utils.show import plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def explanation(maps):
    n, k = maps.shape[:2]
    zeros = torch.zeros(n, k)
    return Explanation(
        maps, zeros, torch.arange(k).expand(n, k), zeros[..., None], maps[:, :1], (8, 8), [["a cat", "a dog"]]
    )


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_figure_carries_its_caption_as_alternative_text_and_is_closed():
    figure, _ = plots.panels(2)
    html = plots.figure_html(figure, 'A "quoted" <caption>.')
    assert 'alt="A &quot;quoted&quot; &lt;caption&gt;."' in html and "<figcaption" in html
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("caption", ["", "  "])
def test_a_figure_without_words_is_refused(caption):
    with pytest.raises(ValueError, match="caption"):
        plots.figure_html(plots.panels(1)[0], caption)


def test_photographs_become_jpeg_and_drawings_png():
    figure, (ax,) = plots.panels(1)
    plots.draw_photo(ax, np.random.default_rng(0).random((224, 224, 3)))
    assert "data:image/jpeg" in plots.figure_html(figure, "noise")
    figure, (ax,) = plots.panels(1, width=3)
    plots.draw_numbers(ax, [[1, 2], [3, 4]])
    html = plots.figure_html(figure, "numbers")
    data = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", html).group(1))
    assert Image.open(io.BytesIO(data)).size == (300, 330)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("columns", [2, 3, 4])
def test_titles_of_two_lines_are_not_cut_off(columns, small):
    figure, axes = plots.panels(columns)
    for ax in axes:
        plots.draw_photo(ax, np.zeros((8, 8, 3)), "Egyptian cat\nweights, no gradient")
    plots.figure_html(figure, "two lines", small=small)
    assert all(ax.title.get_window_extent().y1 < figure.bbox.height for ax in axes)


def test_a_picture_that_nobody_stores_is_made_quickly_and_looks_the_same():
    def pixels(small):
        figure, axes = plots.panels(2, width=4)
        plots.draw_photo(axes[0], np.linspace(0, 1, 48 * 48 * 3).reshape(48, 48, 3), "photograph")
        html = plots.figure_html(figure, "a photograph", small=small)
        data = base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1))
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    stored, quick = pixels(True), pixels(False)
    assert stored.shape == quick.shape and abs(stored - quick).mean() < 3


@pytest.mark.parametrize("kind", ["photo", "heatmap", "signed"])
def test_axes_left_out_leave_the_picture_as_it_was(kind, monkeypatch):
    def drawn():
        figure, axes = plots.panels(3, width=6)
        values = torch.linspace(0, 1, 64).reshape(8, 8)
        draw = {"photo": plots.draw_photo, "heatmap": plots.draw_heatmap, "signed": plots.draw_signed}[kind]
        draw(axes[0], values, title="a title\nof two lines")
        axes[1].barh([0, 1], [0.2, 0.8])
        axes[2].plot([0, 1])
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba()).copy()

    quick = drawn()
    monkeypatch.setattr("matplotlib.axis.Axis.set_visible", lambda self, visible: None)
    assert (quick == drawn()).all()


def test_numbers_are_shaded_by_size_and_negative_ones_are_gray():
    _, (ax,) = plots.panels(1)
    plots.draw_numbers(ax, [[-2.0, 2.0, 8.0]], largest=4)
    faces = [patch.get_facecolor() for patch in ax.patches[::2]]
    assert [face[3] for face in faces] == pytest.approx([0.375, 0.375, 0.75])
    assert len(set(faces[0][:3])) == 1
    assert faces[1][:3] == faces[2][:3] == to_rgb(plots.ACTIVATIONS)


def test_dpi_changes_the_size_of_the_stored_picture():
    html = plots.figure_html(plots.panels(1, width=4, height=2)[0], "empty", dpi=50)
    data = base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1))
    assert Image.open(io.BytesIO(data)).size == (200, 100)


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        (torch.rand(1, 3, 4, 5), (4, 5, 3)),
        (torch.rand(3, 4, 5), (4, 5, 3)),
        (torch.rand(1, 4, 5), (4, 5)),
        (torch.rand(4, 5), (4, 5)),
        (np.zeros((4, 5, 3), np.uint8), (4, 5, 3)),
        (Image.new("RGB", (5, 4)), (4, 5, 3)),
    ],
)
def test_images_in_any_wrapping(image, shape):
    array = plots.as_image(image)
    assert array.shape == shape and 0 <= array.min() <= array.max() <= 1


def test_several_images_at_once_are_refused():
    with pytest.raises(ValueError, match="one image"):
        plots.as_image(torch.rand(2, 3, 4, 4))


def test_bytes_are_divided_by_255():
    assert plots.as_image(np.full((2, 2), 255, np.uint8)).max() == 1


def test_a_blend_mixes_photograph_and_inferno():
    _figure, (ax,) = plots.panels(1)
    heat, photo = np.array([[0.0, 1.0]]), np.full((1, 2, 3), 0.5)
    plots.draw_heatmap(ax, heat, photo, blend=0.25)
    drawn = ax.images[0].get_array()
    for column, value in enumerate(heat[0]):
        expected = 0.75 * 0.5 + 0.25 * np.array(plt.get_cmap("inferno")(value)[:3])
        np.testing.assert_allclose(drawn[0, column], expected)


def test_an_empty_map_says_so_with_the_name_of_the_class():
    figure = plots.compare_maps(
        torch.rand(1, 3, 8, 8), explanation(torch.tensor([[[[1.0]], [[-1.0]]]])), torch.tensor([0.75, 0.001])
    )
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[1:] == ["a cat 0.75", "a dog <0.01"]
    assert texts(figure.axes[1]) == []
    assert texts(figure.axes[2]) == ["no positive evidence\nfor a dog"]


@pytest.mark.parametrize(
    ("heat", "words"),
    [
        (np.array([[2.0]]), r"\[0, 1\]"),
        (np.array([[-1.0]]), "draw_signed"),
        (np.array([[np.nan]]), "nan"),
        (np.zeros((2, 2, 3)), "shape"),
    ],
)
def test_what_is_no_heatmap_is_refused(heat, words):
    with pytest.raises(ValueError, match=words):
        plots.draw_heatmap(plots.panels(1)[1][0], heat)


def test_map_and_photograph_must_have_the_same_size():
    with pytest.raises(ValueError, match="differ in size"):
        plots.draw_heatmap(plots.panels(1)[1][0], np.ones((2, 2)), np.ones((4, 4, 3)))


def test_a_signed_map_has_the_same_limits_left_and_right_of_zero():
    _figure, (ax,) = plots.panels(1)
    plots.draw_signed(ax, torch.tensor([[1.0, -3.0]]))
    assert ax.images[0].get_clim() == (-3, 3)
    white = plt.get_cmap(plots.SIGNED_MAP)(0.5)
    assert min(white[:3]) > 0.95


def test_a_box_covers_its_pixels():
    _figure, (ax,) = plots.panels(1)
    plots.draw_box(ax, (1, 2, 4, 6), found=True)
    corners = [(p.get_x(), p.get_y(), p.get_width(), p.get_height(), p.get_linestyle()) for p in ax.patches]
    assert corners == [(0.5, 1.5, 3, 4, "--")] * 2


def test_drawing_leaves_the_data_alone():
    heat, photo = torch.rand(4, 4), torch.rand(1, 3, 4, 4)
    before = heat.clone(), photo.clone()
    plots.draw_heatmap(plots.panels(1)[1][0], heat, photo)
    plots.draw_photo(plots.panels(1)[1][0], photo)
    assert torch.equal(heat, before[0]) and torch.equal(photo, before[1])
