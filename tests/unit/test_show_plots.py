"""What is drawn into axes, and how a figure reaches a notebook: what the figures say, and what they leave alone."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import same_color, to_rgb
from PIL import Image

from course_utils.explain import Explanation
from course_utils.pictures import mosaic
from course_utils.show import (
    FOUND,
    STORING,
    TRUTH,
    canvas,
    draw_gradient,
    draw_outline,
    draw_seeds,
    draw_segmentation,
    figure_html,
    gradient_limit,
    gradient_picture,
    plots,
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plots.panels(1)[1][0]


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
    html = figure_html(figure, 'A "quoted" <caption>.')
    assert 'alt="A &quot;quoted&quot; &lt;caption&gt;."' in html and "<figcaption" in html
    assert not plt.fignum_exists(figure.number)


def shown_at(side, photos):
    """A figure with one picture of ``side`` pixels a side, and beside it a plot without a picture, as HTML."""
    figure, axes = plt.subplots(1, 2, figsize=(10, side / 100), gridspec_kw={"bottom": 0, "top": 1})
    plots.draw_photo(axes[0], np.zeros((8, 8, 3)))
    return figure_html(figure, "One.", photos=photos)


def test_credits_end_the_caption_and_the_alternative_text():
    html = shown_at(100, ["goose", "beaker"])
    words = "One. Photograph: from the package foolbox (MIT), photographer not named there."
    assert f'alt="{words}"' in html and f"<i>{words}</i>" in html
    assert 'alt="One."' in shown_at(100, ())


def test_what_a_stored_notebook_may_show(monkeypatch):
    """Outside the command that stores notebooks, anything may be shown."""
    four = mosaic(["cat", "goose", "coffee", "drum"], 8)
    for photos in ("drum", four, ["goose"]):
        assert "<img" in shown_at(300, photos)
    monkeypatch.setenv(STORING, "1")
    for photos in ("drum", four, ["goose", "drum"]):
        with pytest.raises(ValueError, match=r"^drum may be looked at, and measured, but not stored"):
            shown_at(100, photos)
    assert "<img" in shown_at(224, ["goose"]) and "<img" in shown_at(300, ["cat", "motorcycle"])
    with pytest.raises(
        ValueError, match=r"has 300 pixels a side, and goose, beaker may be stored at 224 at most"
    ):
        shown_at(300, ["goose", "cat", "beaker"])
    figure = plots.panels(4, width=9)[0]  # what the sentence recommends
    for ax in figure.axes:
        plots.draw_photo(ax, np.zeros((8, 8, 3)), "goose")
    assert "<img" in figure_html(figure, "Four.", photos=["goose"])
    drawing = plots.panels(1)[0]
    assert "<img" in figure_html(drawing, "A plot of what was measured on it.", photos=["goose"])


def test_photographs_become_jpeg_and_drawings_png():
    figure, (ax,) = plots.panels(1)
    plots.draw_photo(ax, np.random.default_rng(0).random((224, 224, 3)))
    assert "data:image/jpeg" in figure_html(figure, "noise")
    figure, (ax,) = plots.panels(1, width=3)
    plots.draw_numbers(ax, [[1, 2], [3, 4]])
    html = figure_html(figure, "numbers")
    data = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", html).group(1))
    assert Image.open(io.BytesIO(data)).size == (300, 330)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("columns", [2, 3, 4])
def test_titles_of_two_lines_are_not_cut_off(columns, small):
    figure, axes = plots.panels(columns)
    for ax in axes:
        plots.draw_photo(ax, np.zeros((8, 8, 3)), "Egyptian cat\nweights, no gradient")
    figure_html(figure, "two lines", small=small)
    assert all(ax.title.get_window_extent().y1 < figure.bbox.height for ax in axes)


def test_a_picture_that_nobody_stores_is_made_quickly_and_looks_the_same():
    def pixels(small):
        figure, axes = plots.panels(2, width=4)
        plots.draw_photo(axes[0], np.linspace(0, 1, 48 * 48 * 3).reshape(48, 48, 3), "photograph")
        html = figure_html(figure, "a photograph", small=small)
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


def test_a_canvas_is_the_whole_figure_in_inches_or_in_the_units_asked_for():
    figure, ax = canvas(7, 3)
    assert ax.get_position().bounds == (0, 0, 1, 1) and tuple(figure.get_size_inches()) == (7, 3)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 7), (0, 3))
    _, ax = canvas(7, 3, x=(-1, 1), y=(2, 0))
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (2, 0)) and not ax.axison


def test_places_that_are_given_are_kept():
    figure, axes = plots.panels(2, width=8, height=2, places={"left": 0.25, "right": 0.75, "wspace": 0})
    assert figure.get_layout_engine() is None
    assert [ax.get_position().x0 for ax in axes] == pytest.approx([0.25, 0.5])


def test_long_words_are_not_cut_when_a_title_is_wrapped():
    assert plots.wrapped("in another photograph", 10) == "in another\nphotograph"
    assert plots.wrapped("a photograph", 5) == "a\nphotograph"


def test_what_is_not_marked_is_gray(ax):
    image = torch.tensor([1.0, 0.4, 0.1])[:, None, None].expand(3, 1, 2)
    plots.draw_marked(ax, image, torch.tensor([[True, False]]), "half")
    drawn = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(drawn[0], [[1, 0.4, 0.1], [0.7, 0.7, 0.7]], atol=1e-6)
    assert ax.get_title() == "half"


def test_dpi_changes_the_size_of_the_stored_picture():
    html = figure_html(plots.panels(1, width=4, height=2)[0], "empty", dpi=50)
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


# --- gradients with respect to an image: mid-gray is zero, one limit on both sides, nothing stretched


def test_a_picture_worked_out_by_hand():
    values = torch.tensor([[[0.0, 1.0]], [[-1.0, 4.0]], [[2.0, -8.0]]])  # (3, 1, 2)
    expected = [[[0.5, 0.25, 1.0], [0.75, 1.0, 0.0]]]  # 1/2 + v / 4, cut off
    np.testing.assert_allclose(gradient_picture(values, limit=2.0), expected)


@pytest.mark.parametrize("shift", [-3.0, 0.0, 5.0])
def test_zero_is_mid_gray_whatever_minimum_and_maximum_are(shift):
    values = torch.randn(3, 20, 20, generator=torch.Generator().manual_seed(0)) + shift
    values[:, 0, 0] = 0
    np.testing.assert_array_equal(gradient_picture(values)[0, 0], [0.5, 0.5, 0.5])


def test_turning_the_signs_around_mirrors_the_picture_at_mid_gray():
    values = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(1)) + 0.3
    np.testing.assert_allclose(gradient_picture(values) + gradient_picture(-values), 1.0)


def test_the_scale_of_the_numbers_does_not_matter_and_their_order_is_kept():
    values = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(2))
    np.testing.assert_allclose(gradient_picture(values), gradient_picture(1e-6 * values), atol=1e-6)
    shown = gradient_picture(values, limit=10.0).transpose(2, 0, 1).ravel()
    assert (np.argsort(shown) == np.argsort(values.numpy().ravel())).all()


def test_the_limit_is_a_percentile_of_the_sizes_over_all_colors_and_images():
    values = torch.arange(-100.0, 100.0)  # sizes 0, 1, 1, 2, 2, ..., 99, 99, 100
    assert gradient_limit(values) == 99
    assert gradient_limit(values, percentile=100) == 100
    assert gradient_limit(values, percentile=50) == 50
    assert gradient_limit(values, 10 * values) == gradient_limit(torch.cat([values, 10 * values]))


def test_a_few_extreme_values_do_not_gray_the_rest():
    values = torch.ones(3, 20, 20)
    values[0, 0, :5] = -1000.0
    assert gradient_limit(values) == 1
    assert gradient_picture(values)[5, 5].tolist() == [1.0, 1.0, 1.0]


def test_nearly_empty_and_empty_images_have_a_limit():
    lonely = torch.zeros(3, 20, 20)
    lonely[1, 2, 3] = -7
    assert gradient_limit(lonely) == 7
    assert gradient_picture(lonely)[2, 3].tolist() == [0.5, 0.0, 0.5]
    assert gradient_limit(torch.zeros(3, 4, 4)) == 1
    assert (gradient_picture(torch.zeros(3, 4, 4)) == 0.5).all()


def test_an_empty_image_is_said_to_be_empty():
    _, axes = plots.panels(2)
    draw_gradient(axes[0], torch.zeros(1, 3, 4, 4), "nothing")
    draw_gradient(axes[1], torch.ones(3, 4, 4), "something")
    assert texts(axes[0]) == ["zero\neverywhere"]
    assert texts(axes[1]) == []
    assert [ax.get_title() for ax in axes] == ["nothing", "something"]


def test_images_with_one_limit_are_drawn_on_one_scale():
    _, axes = plots.panels(2)
    small, large = torch.full((3, 4, 4), 0.5), torch.full((3, 4, 4), 2.0)
    for ax, values in zip(axes, (small, large), strict=True):
        draw_gradient(ax, values, limit=gradient_limit(small, large))
    assert [float(ax.images[0].get_array().max()) for ax in axes] == [0.625, 1.0]


def test_averages_of_what_alternates_are_gray_and_no_pattern():
    """More pixels than the panel has: signs that alternate from pixel to pixel must not draw stripes."""
    values = (-1.0) ** (torch.arange(256)[:, None] + torch.arange(256)) * torch.ones(3, 1, 1)
    figure, (ax,) = plots.panels(1, width=1.3)
    draw_gradient(ax, values)
    figure.canvas.draw()
    inside = np.asarray(figure.canvas.buffer_rgba())[50:90, 50:90, :3] / 255
    assert np.abs(inside - 0.5).max() < 0.1


def test_nothing_is_changed_and_gradients_may_be_attached():
    values = torch.randn(3, 4, 4, requires_grad=True)
    before = values.detach().clone()
    gradient_picture(values)
    draw_gradient(plots.panels(1)[1][0], values)
    assert torch.equal(values.detach(), before) and values.requires_grad


# --- masks and seeds: lines and tints where they belong, and nowhere else


def test_seeds_are_tinted_and_the_rest_left_bare(ax):
    image = torch.full((3, 4, 4), 0.5)
    draw_seeds(ax, image, torch.tensor([[3, -1], [0, -1]]), blend=1)
    drawn = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(drawn[:2, :2], np.broadcast_to(to_rgb(plots.OBJECT_SEED), (2, 2, 3)))
    np.testing.assert_allclose(drawn[2:, :2], np.broadcast_to(to_rgb(plots.BACKGROUND_SEED), (2, 2, 3)))
    np.testing.assert_allclose(drawn[:, 2:], 0.5)
    assert image.eq(0.5).all()


def test_an_outline_runs_half_a_pixel_outside_the_mask(ax):
    mask = torch.zeros(6, 6, dtype=torch.bool)
    mask[0:3, 2:5] = True  # touches the upper edge, and is closed there
    draw_outline(ax, mask)
    ends = np.concatenate([path.vertices for line in ax.collections for path in line.get_paths()])
    assert ends.min(0).tolist() == [1.5, -0.5] and ends.max(0).tolist() == [4.5, 2.5]


@pytest.mark.parametrize(("found", "color", "dashed"), [(False, TRUTH, False), (True, FOUND, True)])
def test_truth_is_solid_white_and_what_was_found_dashed_yellow(ax, found, color, dashed):
    draw_outline(ax, torch.ones(4, 4, dtype=torch.bool), found=found)
    beneath, line = ax.collections
    assert same_color(beneath.get_edgecolor()[0], "black") and same_color(line.get_edgecolor()[0], color)
    assert (line.get_linestyle()[0][1] is not None) == dashed


def test_an_empty_mask_has_no_outline(ax):
    draw_outline(ax, torch.zeros(4, 4, dtype=torch.bool))
    assert not ax.collections


def test_pixels_of_another_class_are_tinted_and_own_ones_outlined(ax):
    truth = torch.zeros(6, 6, dtype=torch.long)
    truth[1:4, 1:4] = 3
    found = truth.clone()
    found[5, 5] = 7
    draw_segmentation(ax, torch.full((3, 6, 6), 0.5), found, truth)
    drawn = np.asarray(ax.images[0].get_array())
    changed = np.abs(drawn - 0.5).max(2) > 0.01
    assert changed.sum() == 1 and changed[5, 5]
    assert len(ax.collections) == 4  # two outlines, each with a dark line beneath
